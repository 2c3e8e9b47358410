//! `balcony demo`: two servers and three clients in this process, over real sockets on loopback. A link is cut and mended, a
//! session paused and resumed, a poke answered, and the terminal shows what each client sees.

mod client;
mod stage;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use sasl::Password;
use serde::Serialize;
use stanza::Address;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xml::Element;

use self::client::{Client, Trouble};
use self::stage::Stage;
use crate::config::Configuration;
use crate::logging;
use crate::report::{Exit, Report};
use crate::terminal::say;

/// Nothing in the play takes longer. A link that was down is tried again within five seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who plays. The numbers are places in [`Play::clients`].
const ROMEO: usize = 0;
const BENVOLIO: usize = 1;
const JULIET: usize = 2;
const CAST: [&str; 3] = [
    "romeo@montague.lit/orchard",
    "benvolio@montague.lit/phone",
    "juliet@capulet.lit/balcony",
];

/// Passwords of accounts that live for a minute and are reached from this machine only.
const PASSWORD: &str = "wherefore art thou";

/// The capabilities of a client that asks for annotations, and what its hash stands for (XEP-0115).
const ASKS: &str = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:demo' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>";
const FEATURES: &str = "<feature var='urn:xmpp:psa'/>";

/// How the play is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// For people.
    Text,
    /// One JSON object in each line.
    Json,
}

/// One line for machines.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'l> {
    /// Something happens.
    Scene { text: &'l str },
    /// A client is told something.
    Sees { client: &'l str, stanza: &'l str },
    /// A client says something.
    Says { client: &'l str, stanza: &'l str },
}

/// Plays it. It takes about ten seconds.
///
/// # Errors
/// When something does not happen that should.
pub fn demo(show: Show) -> Result<Exit, Report> {
    if let Ok(filter) = std::env::var("BALCONY_LOG") {
        logging::start(&Configuration::default().log, Some(&filter))?;
    }
    let directory = Directory::make()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Report::failed(format!("cannot start threads: {error}"), ""))?;
    let outcome = runtime.block_on(async {
        let stage = Stage::build(&directory.0).await?;
        let played = play(&stage, show).await;
        stage.clear().await;
        played
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => Ok(Exit::Fine),
        Err(trouble) => Err(Report::failed(
            format!("the demonstration broke off: {trouble}"),
            "BALCONY_LOG=debug balcony demo shows what the servers do.",
        )),
    }
}

/// A directory that goes when the play is over.
struct Directory(PathBuf);

impl Directory {
    fn make() -> Result<Directory, Report> {
        let path = std::env::temp_dir().join(format!("balcony-demo-{}", std::process::id()));
        crate::system::make_data_directory(&path)?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed goes with the other temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Play<'p> {
    stage: &'p Stage,
    clients: Vec<Client>,
    heard: mpsc::UnboundedReceiver<(usize, Element)>,
    show: Show,
    /// What the clients do to become contacts is not shown.
    is_on: bool,
}

async fn play(stage: &Stage, show: Show) -> Result<(), Trouble> {
    let (tell, heard) = mpsc::unbounded_channel();
    let mut play = Play {
        stage,
        clients: Vec::new(),
        heard,
        show,
        is_on: false,
    };
    let password = Password::new(PASSWORD).map_err(|error| error.to_string())?;
    for (number, name) in CAST.into_iter().enumerate() {
        let address = Address::parse(name)?;
        let house = match address.domainpart() {
            "capulet.lit" => &stage.capulet,
            _ => &stage.montague,
        };
        house.account(&address, &password).await?;
        let client = Client::connect(number, address, house.clients, password.clone(), tell.clone());
        play.clients.push(timeout(PATIENCE, client).await??);
    }
    play.scene(
        "Two servers, montague.lit and capulet.lit. At montague.lit Romeo, whose client asks for annotations, and his \
         cousin Benvolio with a phone; at capulet.lit Juliet. They see each other's presence.",
    );
    play.become_contacts(JULIET).await?;
    play.become_contacts(BENVOLIO).await?;
    play.is_on = true;

    play.scene("Juliet comes to her balcony.");
    play.says(JULIET, "<presence><status>Ay me!</status></presence>")
        .await?;
    play.until(ROMEO, |seen| seen.contains("juliet@capulet.lit/balcony"))
        .await?;

    play.scene(
        "Is she really there? Romeo pokes her, her server asks her client, and that finds her by a touch.",
    );
    play.says(
        ROMEO,
        "<presence type='probe' to='juliet@capulet.lit' id='poke1'><poke xmlns='http://jabber.org/protocol/poke'/></presence>",
    )
    .await?;
    let asked = play.until(JULIET, |seen| seen.contains("<poke ")).await?;
    let id = asked
        .attribute("id")
        .ok_or("a question without an id")?
        .into_owned();
    play.says(
        JULIET,
        &format!(
            "<iq type='result' id='{id}'><poke xmlns='http://jabber.org/protocol/poke' method='touch'/></iq>"
        ),
    )
    .await?;
    play.until(ROMEO, |seen| seen.contains("<poke ")).await?;

    play.scene(
        "The link between the two servers is cut. What Romeo knows of Juliet may not be true any more.",
    );
    stage.cut();
    let lost = "<server-unavailable/>";
    play.until_each(&[(ROMEO, lost), (JULIET, lost)]).await?;

    play.scene("The link is mended. The servers try every few seconds, and take their words back.");
    play.stage.mend();
    play.until_each(&[
        (
            ROMEO,
            "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>",
        ),
        (
            JULIET,
            "<state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'/>",
        ),
    ])
    .await?;

    play.scene("Benvolio's phone enters a tunnel. His session waits for him, and Romeo is told.");
    play.client(BENVOLIO)?.lose();
    play.until(ROMEO, |seen| seen.contains("<connection-paused/>"))
        .await?;

    play.scene("The phone is back, and the session goes on.");
    let client = play.client(BENVOLIO)?;
    timeout(PATIENCE, client.resume()).await??;
    play.until(ROMEO, |seen| {
        seen.contains("benvolio@")
            && seen.contains("<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>")
    })
    .await?;
    play.scene("That was all. docs/presence.md says how it works.");
    Ok(())
}

impl Play<'_> {
    fn scene(&self, text: &str) {
        match self.show {
            Show::Text => say(format!("\n{text}\n")),
            Show::Json => line(&Line::Scene { text }),
        }
    }

    fn client(&mut self, who: usize) -> Result<&mut Client, Trouble> {
        Ok(self.clients.get_mut(who).ok_or("nobody plays that part")?)
    }

    async fn says(&mut self, who: usize, text: &str) -> Result<(), Trouble> {
        let (is_on, show) = (self.is_on, self.show);
        let client = self.client(who)?;
        if is_on {
            let name = client.address.to_string();
            match show {
                Show::Text => say(format!("  {:<9} says  {text}", first_name(&name))),
                Show::Json => line(&Line::Says {
                    client: &name,
                    stanza: text,
                }),
            }
        }
        client.say(text).await
    }

    /// Shows what the clients are told, until this one is told what is waited for.
    async fn until(&mut self, who: usize, is_it: impl Fn(&str) -> bool) -> Result<Element, Trouble> {
        let waited = timeout(PATIENCE, async {
            loop {
                let (number, element) = self.heard.recv().await.ok_or("nobody hears anything any more")?;
                self.tell(number, &element).await?;
                if number == who && is_it(element.as_str()) {
                    return Ok::<Element, Trouble>(element);
                }
            }
        });
        waited
            .await
            .map_err(|_| format!("{} waited in vain", CAST.get(who).unwrap_or(&"somebody")))?
    }

    /// The same, until each of these is told something with this in it.
    async fn until_each(&mut self, awaited: &[(usize, &str)]) -> Result<(), Trouble> {
        let mut left = awaited.to_vec();
        let waited = timeout(PATIENCE, async {
            while !left.is_empty() {
                let (number, element) = self.heard.recv().await.ok_or("nobody hears anything any more")?;
                self.tell(number, &element).await?;
                left.retain(|(who, part)| *who != number || !element.as_str().contains(part));
            }
            Ok::<(), Trouble>(())
        });
        waited.await.map_err(|_| "somebody waited in vain")?
    }

    async fn tell(&mut self, number: usize, element: &Element) -> Result<(), Trouble> {
        let client = self.client(number)?;
        client.take(element).await?;
        let text = element.as_str();
        if element.name() == "iq" && text.contains("http://jabber.org/protocol/disco#info") {
            // The server asks what the hash stands for.
            let id = element.attribute("id").unwrap_or_default();
            let node = text
                .split("node='")
                .nth(1)
                .and_then(|rest| rest.split('\'').next());
            let node = node.map(|node| format!(" node='{node}'")).unwrap_or_default();
            return client
                .say(&format!(
                    "<iq type='result' id='{id}'><query xmlns='http://jabber.org/protocol/disco#info'{node}>{FEATURES}</query></iq>"
                ))
                .await;
        }
        let name = client.address.to_string();
        let is_own = element
            .attribute("from")
            .is_some_and(|from| name.starts_with(from.split('/').next().unwrap_or_default()));
        if self.is_on && !element.is("urn:xmpp:sm:3", "r") && (!is_own || text.contains("<poke ")) {
            let text = text.replace(" xmlns='jabber:client'", "");
            match self.show {
                Show::Text => say(format!("  {:<9} sees  {text}", first_name(&name))),
                Show::Json => line(&Line::Sees {
                    client: &name,
                    stanza: &text,
                }),
            }
        }
        Ok(())
    }

    /// Romeo and somebody else see each other's presence from now on (RFC 6121 §3.1).
    async fn become_contacts(&mut self, other: usize) -> Result<(), Trouble> {
        let bare = |client: &Client| client.address.to_bare().to_string();
        let (romeo, name) = (bare(self.client(ROMEO)?), bare(self.client(other)?));
        let to = |kind: &str, to: &str| format!("<presence type='{kind}' to='{to}'/>");
        let appears = format!("<presence>{ASKS}</presence>");
        self.says(ROMEO, &appears).await?;
        self.says(other, "<presence/>").await?;
        self.says(ROMEO, &to("subscribe", &name)).await?;
        self.until(other, |seen| seen.contains("type='subscribe'"))
            .await?;
        self.says(other, &to("subscribed", &romeo)).await?;
        self.says(other, &to("subscribe", &romeo)).await?;
        self.until(ROMEO, |seen| {
            seen.contains("type='subscribe'") && seen.contains(&name)
        })
        .await?;
        self.says(ROMEO, &to("subscribed", &name)).await?;
        // What was agreed upon shows in presence.
        let from = format!("from='{romeo}/");
        self.until(other, |seen| seen.contains(&from)).await.map(drop)
    }
}

fn first_name(address: &str) -> String {
    let name = address.split('@').next().unwrap_or_default();
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn line(line: &Line<'_>) {
    // A text always becomes JSON.
    if let Ok(text) = serde_json::to_string(line) {
        say(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capabilities_of_the_client_that_asks_are_what_it_answers() {
        let presence = format!("<presence xmlns='jabber:client'>{ASKS}</presence>");
        let element = Element::parse(
            presence.as_bytes(),
            xml::ContentNamespace::Client,
            &xml::Limits::unlimited(),
        )
        .unwrap();
        let presence = stanza::Stanza::new(element, None, None, None).unwrap();
        let claim = presence::Claim::of(&presence).unwrap();
        let answer = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{FEATURES}</query>");
        let answer = xml::Tree::parse(answer.as_bytes(), "", &xml::Limits::unlimited()).unwrap();
        assert!(matches!(
            claim.answered(&answer),
            presence::Answer::Verified(_, true)
        ));
    }
}
