//! One connection of a client, plain or with TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;

use super::queues::now;

/// No step of a conversation takes that long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks.
const PAUSE: Duration = Duration::from_micros(200);

/// The name that clients ask for; the server's certificate has the other one too.
const HOST: &str = "example.com";

/// A client's side of a connection.
pub(super) struct Line {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    heard: Vec<u8>,
    ended: bool,
}

impl Line {
    pub(super) fn dial(address: SocketAddr) -> Result<Line, String> {
        let socket =
            TcpStream::connect(address).map_err(|error| format!("cannot connect to {address}: {error}"))?;
        let prepared = socket
            .set_nodelay(true)
            .and_then(|()| socket.set_nonblocking(true));
        prepared.map_err(|error| error.to_string())?;
        Ok(Line {
            socket,
            tls: None,
            heard: Vec::new(),
            ended: false,
        })
    }

    /// Negotiates TLS.
    pub(super) fn secure(&mut self, config: &Arc<ClientConfig>) -> Result<(), String> {
        if self.tls.is_some() {
            return Err("there is TLS already".to_owned());
        }
        let name = ServerName::try_from(HOST).map_err(|error| error.to_string())?;
        let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(|error| error.to_string())?;
        tls.set_buffer_limit(None);
        self.tls = Some(Box::new(tls));
        let begun = now();
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.flush()?;
            self.read();
            if self.ended {
                return Err("the connection ends while TLS is negotiated".to_owned());
            }
            if begun.elapsed() > PATIENCE {
                return Err("the server does not negotiate TLS".to_owned());
            }
            std::thread::sleep(PAUSE);
        }
        self.flush()
    }

    /// RFC 9266.
    pub(super) fn exporter(&self) -> Option<[u8; 32]> {
        let tls = self.tls.as_ref()?;
        tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None)
            .ok()
    }

    /// Writes. What is said to a server that has hung up is lost, as in life.
    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.ended {
            return Ok(());
        }
        match &mut self.tls {
            Some(tls) => {
                tls.writer().write_all(bytes).map_err(|error| error.to_string())?;
                self.flush()
            }
            None => {
                let mut rest = bytes;
                self.push(|line| {
                    let written = line.socket.write(rest)?;
                    rest = rest.get(written..).unwrap_or_default();
                    Ok(rest.is_empty())
                })
            }
        }
    }

    /// What has come since the last time, and whether the server has ended the connection.
    pub(super) fn hear(&mut self) -> (Vec<u8>, bool) {
        self.read();
        (std::mem::take(&mut self.heard), self.ended)
    }

    /// Whether something has come that was not taken.
    pub(super) fn listen(&mut self) -> bool {
        self.read();
        !self.heard.is_empty() || self.ended
    }

    fn flush(&mut self) -> Result<(), String> {
        self.push(|line| match &mut line.tls {
            Some(tls) if tls.wants_write() => tls.write_tls(&mut line.socket).map(|_| false),
            Some(_) | None => Ok(true),
        })
    }

    /// Writes until it is done; meanwhile takes in what the server says, which might read no more before.
    fn push(
        &mut self,
        mut write: impl FnMut(&mut Line) -> Result<bool, std::io::Error>,
    ) -> Result<(), String> {
        let begun = now();
        loop {
            match write(self) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.read();
                    if begun.elapsed() > PATIENCE {
                        return Err("the server reads no more".to_owned());
                    }
                    std::thread::sleep(PAUSE);
                }
                // The other side has hung up; what it said before is still to be read.
                Err(_) => return Ok(()),
            }
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        while !self.ended {
            let read = match &mut self.tls {
                Some(tls) => tls.read_tls(&mut self.socket),
                None => self.socket.read(&mut buffer),
            };
            match read {
                Ok(0) => self.end(),
                Ok(read) if self.tls.is_none() => self.heard.extend_from_slice(&buffer[..read]),
                Ok(_) => self.decrypt(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.end(),
            }
        }
    }

    fn decrypt(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        let state = tls.process_new_packets();
        // An error is an error at the end of what has come before.
        let _ = tls.reader().read_to_end(&mut self.heard);
        match state {
            Ok(state) if !state.peer_has_closed() => {}
            Ok(_) | Err(_) => self.end(),
        }
    }

    /// The server has ended the connection, and so do we.
    fn end(&mut self) {
        self.ended = true;
        // It is over either way.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
