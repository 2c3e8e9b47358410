//! What is agreed on, and who is refused.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, HandshakeKind, ProtocolVersion};
use s2s::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{AcceptError, Certificates, Listener};
use super::{Client, Folder, client, order, store};

fn one_host(folder: &Folder) -> Arc<Certificates> {
    store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
    ])
}

/// What a handshake agreed on, or the alert that the client got.
async fn agreed(
    store: &Certificates,
    client: Client,
    listener: Listener,
) -> Result<Option<String>, AlertDescription> {
    let (server, client) = client.meet(store, listener, None).await;
    match client {
        Ok(client) => {
            let protocol = client
                .get_ref()
                .1
                .alpn_protocol()
                .map(|name| String::from_utf8(name.to_vec()).unwrap());
            let of_server = server
                .unwrap()
                .stream
                .get_ref()
                .1
                .alpn_protocol()
                .map(<[u8]>::to_vec);
            assert_eq!(of_server.as_deref(), protocol.as_ref().map(String::as_bytes));
            Ok(protocol)
        }
        Err(error) => {
            assert!(matches!(server, Err(AcceptError::Handshake(_))));
            match error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                Some(rustls::Error::AlertReceived(alert)) => Err(*alert),
                other => panic!("no alert but {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn xep0368_3_direct_tls_agrees_to_xmpp_client() {
    let (folder, some) = (Folder::new(), |name: &str| Ok(Some(name.to_owned())));
    let store = one_host(&folder);
    let xmpp = client().speaking("xmpp-client");
    assert_eq!(
        agreed(&store, xmpp.clone(), Listener::DirectTls).await,
        some("xmpp-client")
    );
    let several = client().speaking("h2").speaking("xmpp-client");
    assert_eq!(
        agreed(&store, several, Listener::DirectTls).await,
        some("xmpp-client")
    );
    let web = client().speaking("h2").speaking("http/1.1");
    assert_eq!(agreed(&store, web, Listener::Https).await, some("http/1.1"));
}

#[tokio::test]
async fn rfc7301_3_2_a_client_of_another_protocol_is_refused_with_its_alert() {
    let folder = Folder::new();
    let store = one_host(&folder);
    let refused = Err(AlertDescription::NoApplicationProtocol);
    for foreign in ["xmpp-server", "h2", "http/1.1"] {
        assert_eq!(
            agreed(&store, client().speaking(foreign), Listener::DirectTls).await,
            refused,
            "{foreign}"
        );
    }
    assert_eq!(
        agreed(&store, client().speaking("xmpp-client"), Listener::Https).await,
        refused
    );
}

#[tokio::test]
async fn xep0368_3_servers_agree_to_xmpp_server_on_direct_tls_and_to_nothing_after_starttls() {
    let folder = Folder::new();
    let store =
        store(vec![folder.put(
            "montague.lit",
            &order(&["montague.lit", "capulet.lit"]).issue(),
        )]);
    for (transport, listener, expected) in [
        (
            Transport::DirectTls,
            Listener::ServersDirectTls,
            Some(&b"xmpp-server"[..]),
        ),
        (Transport::Tcp, Listener::ServersStartTls, None),
    ] {
        let (near, far) = tokio::io::duplex(4096);
        let (accepted, connected) = tokio::join!(
            store.accept(near, listener, Some("capulet.lit")),
            store.connect(far, transport, "montague.lit", "capulet.lit")
        );
        let (accepted, connected) = (accepted.unwrap().stream, connected.unwrap());
        assert_eq!(accepted.get_ref().1.alpn_protocol(), expected);
        assert_eq!(connected.get_ref().1.alpn_protocol(), expected);
    }
}

#[tokio::test]
async fn rfc7301_3_2_direct_tls_for_servers_refuses_who_means_something_else() {
    let folder = Folder::new();
    let store = one_host(&folder);
    for foreign in ["xmpp-client", "h2"] {
        assert_eq!(
            agreed(&store, client().speaking(foreign), Listener::ServersDirectTls).await,
            Err(AlertDescription::NoApplicationProtocol),
            "{foreign}"
        );
    }
    // XEP-0368 §3 asks for the name, and some servers give none.
    assert_eq!(
        agreed(&store, client(), Listener::ServersDirectTls).await,
        Ok(None)
    );
}

#[tokio::test]
async fn a_client_that_names_no_protocol_is_welcome_everywhere_and_starttls_looks_at_none() {
    let folder = Folder::new();
    let store = one_host(&folder);
    for listener in [Listener::StartTls, Listener::DirectTls, Listener::Https] {
        assert_eq!(agreed(&store, client(), listener).await, Ok(None), "{listener:?}");
    }
    assert_eq!(
        agreed(&store, client().speaking("h2"), Listener::StartTls).await,
        Ok(None)
    );
}

#[tokio::test]
async fn both_versions_are_spoken_and_carry_what_is_written() {
    let folder = Folder::new();
    let store = one_host(&folder);
    for (version, expected) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let (mut server, mut client) = client()
            .only(version)
            .connect(&store, Listener::StartTls, None)
            .await;
        assert_eq!(server.version(), Some(expected));
        client.write_all(b"<stream:stream>").await.unwrap();
        client.flush().await.unwrap();
        let mut read = [0; 15];
        server.stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"<stream:stream>");
    }
}

#[tokio::test]
async fn over_a_socket_in_a_task_of_its_own() {
    let folder = Folder::new();
    let store = one_host(&folder);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut secured = store.accept(socket, Listener::DirectTls, None).await.unwrap();
        let mut read = Vec::new();
        secured.stream.read_to_end(&mut read).await.unwrap();
        (read, secured.channel_bindings())
    });
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client().config()));
    let mut client = connector
        .connect("montague.lit".try_into().unwrap(), socket)
        .await
        .unwrap();
    client.write_all(b"</stream:stream>").await.unwrap();
    client.shutdown().await.unwrap();
    let (read, bindings) = server.await.unwrap();
    assert_eq!(read, b"</stream:stream>");
    assert!(bindings.tls_exporter.is_some() && bindings.tls_server_end_point.is_some());
}

#[tokio::test]
async fn no_session_is_resumed_and_no_ticket_given() {
    let folder = Folder::new();
    let store = one_host(&folder);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        // One configuration for both, as a client has that could resume.
        let config = Arc::new(client().only(version).config());
        for _ in 0..2 {
            let (near, far) = tokio::io::duplex(4096);
            let name = rustls_pki_types::ServerName::try_from("montague.lit").unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
            let (server, client) = tokio::join!(
                store.accept(near, Listener::DirectTls, None),
                connector.connect(name, far)
            );
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            // Tickets of TLS 1.3 come with the first data.
            server.stream.write_all(b"x").await.unwrap();
            server.stream.flush().await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            assert_eq!(
                client.get_ref().1.handshake_kind(),
                Some(HandshakeKind::Full),
                "{version:?}"
            );
            assert_eq!(client.get_ref().1.tls13_tickets_received(), 0);
        }
    }
}

/// The record of a ClientHello of TLS 1.2 with one cipher suite, secp256r1, and these extensions beside.
fn hello(version: [u8; 2], extensions: &[&[u8]]) -> Vec<u8> {
    let mut known: Vec<u8> = Vec::new();
    known.extend([0, 10, 0, 4, 0, 2, 0, 23]); // supported_groups: secp256r1
    known.extend([0, 11, 0, 2, 1, 0]); // ec_point_formats: uncompressed
    known.extend([0, 13, 0, 4, 0, 2, 4, 3]); // signature_algorithms: ecdsa_secp256r1_sha256
    extensions.iter().for_each(|extension| known.extend(*extension));
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    let mut body = version.to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2, 0xc0, 0x2b]); // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
    body.extend([1, 0]);
    body.extend(length(&known));
    body.extend(known);
    let mut message = vec![1, 0];
    message.extend(length(&body));
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(length(&message));
    record.extend(message);
    record
}

/// The first bytes of the answer to a hand-made ClientHello: record type, and what is in an alert.
async fn answer_to(store: &Certificates, hello: Vec<u8>) -> (u8, u8) {
    let (near, mut far) = tokio::io::duplex(65_536);
    far.write_all(&hello).await.unwrap();
    let client = async {
        let mut answer = [0; 7];
        far.read_exact(&mut answer).await.unwrap();
        drop(far);
        answer
    };
    let (server, answer) = tokio::join!(store.accept(near, Listener::StartTls, None), client);
    assert!(
        matches!(server, Err(AcceptError::Handshake(_))),
        "the client went away in the middle"
    );
    (answer[0], answer[6])
}

#[tokio::test]
async fn rfc9266_2_tls_1_2_without_the_extended_master_secret_is_refused() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const HANDSHAKE_FAILURE: u8 = 40;
    const PROTOCOL_VERSION: u8 = 70;
    const EXTENDED_MASTER_SECRET: &[u8] = &[0, 23, 0, 0];
    let folder = Folder::new();
    let store = one_host(&folder);
    let with = answer_to(&store, hello([3, 3], &[EXTENDED_MASTER_SECRET])).await;
    assert_eq!(with.0, HANDSHAKE);
    assert_eq!(
        answer_to(&store, hello([3, 3], &[])).await,
        (ALERT, HANDSHAKE_FAILURE)
    );
    // TLS 1.1 is gone whatever it brings.
    assert_eq!(
        answer_to(&store, hello([3, 2], &[EXTENDED_MASTER_SECRET])).await,
        (ALERT, PROTOCOL_VERSION)
    );
}

#[tokio::test]
async fn what_is_not_tls_ends_the_handshake_with_an_error() {
    let folder = Folder::new();
    let store = one_host(&folder);
    for nonsense in [
        &b"<?xml version='1.0'?><stream:stream to='montague.lit'>"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16",
    ] {
        let (near, mut far) = tokio::io::duplex(4096);
        far.write_all(nonsense).await.unwrap();
        far.shutdown().await.unwrap();
        let result = store.accept(near, Listener::DirectTls, None).await;
        assert!(matches!(result, Err(AcceptError::Handshake(_))), "{nonsense:?}");
    }
}

#[tokio::test]
async fn without_any_certificate_nobody_is_let_in_and_the_reason_is_told_apart() {
    let (store, problems) = Certificates::load(Vec::new());
    assert!(problems.is_empty());
    let (server, client) = client()
        .asking_for("montague.lit")
        .meet(&store, Listener::StartTls, None)
        .await;
    assert!(matches!(server, Err(AcceptError::NoCertificate)));
    assert_eq!(client.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
