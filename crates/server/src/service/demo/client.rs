//! A client that does as much as the demonstration needs: it logs in, says what it is told to, and goes on with its session
//! after its connection was lost.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sasl::client::{ClientBinding, ClientKeys, ScramClient};
use sasl::{HashFunction, Nonce, Password};
use stanza::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use xml::{ContentNamespace, Element, Frame, Framer, Framing, Limits};

/// Why a client could not go on.
pub(super) type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// One client, and who it is.
pub(super) struct Client {
    /// Its full address.
    pub(super) address: Address,
    number: usize,
    server: SocketAddr,
    password: Password,
    heard: mpsc::UnboundedSender<(usize, Element)>,
    line: Option<Line>,
    /// The name under which its session can be resumed, and how many stanzas it has had.
    session: Option<(String, u32)>,
}

/// A connection.
struct Line {
    out: OwnedWriteHalf,
    reader: AbortHandle,
}

impl Client {
    /// A client with a connection and a resource. What it hears goes to `heard`, under its number.
    pub(super) async fn connect(
        number: usize,
        address: Address,
        server: SocketAddr,
        password: Password,
        heard: mpsc::UnboundedSender<(usize, Element)>,
    ) -> Result<Client, Trouble> {
        let mut client = Client {
            address,
            number,
            server,
            password,
            heard,
            line: None,
            session: None,
        };
        let mut opening = client.log_in().await?;
        let resource = client.address.resourcepart().unwrap_or_default();
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>\
             <enable xmlns='urn:xmpp:sm:3' resume='true'/>"
        );
        opening.say(&bind).await?;
        let enabled = opening.until("enabled").await?;
        let id = enabled.attribute("id").ok_or("the session cannot be resumed")?;
        client.session = Some((id.into_owned(), 0));
        client.begin(opening);
        Ok(client)
    }

    /// Says something to the server.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), Trouble> {
        let line = self.line.as_mut().ok_or("the client has no connection")?;
        Ok(line.out.write_all(text.as_bytes()).await?)
    }

    /// Takes note of what it was told; answers what every client answers.
    pub(super) async fn take(&mut self, element: &Element) -> Result<(), Trouble> {
        if element.is("urn:xmpp:sm:3", "r") {
            let had = self.session.as_ref().map_or(0, |(_, had)| *had);
            return self.say(&format!("<a xmlns='urn:xmpp:sm:3' h='{had}'/>")).await;
        }
        if let ("message" | "presence" | "iq", Some((_, had))) = (element.name(), &mut self.session) {
            *had += 1;
        }
        Ok(())
    }

    /// Its connection is gone, without a word.
    pub(super) fn lose(&mut self) {
        if let Some(line) = self.line.take() {
            line.reader.abort();
        }
    }

    /// It is back, and its session goes on.
    pub(super) async fn resume(&mut self) -> Result<(), Trouble> {
        let (id, had) = self.session.clone().ok_or("there is no session to go on with")?;
        let mut opening = self.log_in().await?;
        let resume = format!("<resume xmlns='urn:xmpp:sm:3' h='{had}' previd='{id}'/>");
        opening.say(&resume).await?;
        opening.until("resumed").await?;
        self.begin(opening);
        Ok(())
    }

    async fn log_in(&self) -> Result<Opening, Trouble> {
        let user = self.address.localpart().ok_or("a client is somebody's")?;
        let mut opening = Opening::new(TcpStream::connect(self.server).await?);
        opening.header(self.address.domainpart()).await?;
        let mut random = [0; 24];
        let number = u8::try_from(self.number).unwrap_or_default();
        random[0] = number;
        let nonce = Nonce::from_random(random);
        let hash = HashFunction::Sha1;
        let scram = ScramClient::new(hash, user, ClientBinding::NotSupported, nonce);
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        let first = STANDARD.encode(scram.first());
        opening
            .say(&format!(
                "<auth xmlns='{sasl}' mechanism='SCRAM-SHA-1'>{first}</auth>"
            ))
            .await?;
        let challenge = opening.until("challenge").await?;
        let challenged = scram.challenged(&STANDARD.decode(&*challenge.text())?)?;
        let (salt, iterations) = (challenged.salt.clone(), challenged.iterations);
        let keys = ClientKeys::derive(hash, &self.password, &salt, iterations);
        let proof = STANDARD.encode(challenged.answer(&keys).0);
        opening
            .say(&format!("<response xmlns='{sasl}'>{proof}</response>"))
            .await?;
        opening.until("success").await?;
        opening.framer.restart();
        opening.header(self.address.domainpart()).await?;
        Ok(opening)
    }

    fn begin(&mut self, opening: Opening) {
        let Opening {
            out,
            mut read,
            mut framer,
            mut waiting,
        } = opening;
        let (number, heard) = (self.number, self.heard.clone());
        let reader = tokio::spawn(async move {
            loop {
                match next(&mut framer, &mut waiting, &mut read).await {
                    Ok(element) => {
                        if heard.send((number, element)).is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        });
        self.line = Some(Line {
            out,
            reader: reader.abort_handle(),
        });
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.lose();
    }
}

/// A stream that is being opened.
struct Opening {
    out: OwnedWriteHalf,
    read: OwnedReadHalf,
    framer: Framer,
    waiting: Vec<u8>,
}

impl Opening {
    fn new(socket: TcpStream) -> Opening {
        let (read, out) = socket.into_split();
        Opening {
            out,
            read,
            framer: Framer::new(Framing::Stream, ContentNamespace::Client, Limits::unlimited()),
            waiting: Vec::new(),
        }
    }

    async fn header(&mut self, domain: &str) -> Result<(), Trouble> {
        let header = format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        self.say(&header).await?;
        self.until("features").await.map(drop)
    }

    async fn say(&mut self, text: &str) -> Result<(), Trouble> {
        Ok(self.out.write_all(text.as_bytes()).await?)
    }

    /// The next element of this name; what comes before does not matter, unless it says that nothing will come.
    async fn until(&mut self, name: &str) -> Result<Element, Trouble> {
        loop {
            let element = next(&mut self.framer, &mut self.waiting, &mut self.read).await?;
            match element.name() {
                found if found == name || found.ends_with(&format!(":{name}")) => return Ok(element),
                "failure" | "failed" | "error" => return Err(element.as_str().into()),
                _ => {}
            }
        }
    }
}

async fn next(
    framer: &mut Framer,
    waiting: &mut Vec<u8>,
    read: &mut OwnedReadHalf,
) -> Result<Element, Trouble> {
    loop {
        let mut input = waiting.as_slice();
        let frame = framer.next(&mut input)?;
        let used = waiting.len() - input.len();
        waiting.drain(..used);
        match frame {
            Some(Frame::Element(element)) => return Ok(element),
            Some(Frame::Open(_) | Frame::Whitespace) => {}
            Some(Frame::Close) => return Err("the server has closed the stream".into()),
            None => {
                if read.read_buf(waiting).await? == 0 {
                    return Err("the connection is gone".into());
                }
            }
        }
    }
}
