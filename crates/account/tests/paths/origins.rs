//! Where paths begin: what an account can be told.

use account::{AdminRequest, Input, Key};

use crate::walks::Path;

/// The paths behind an input. `None` where it carries and causes nothing between the user and others.
pub(crate) fn behind_input(input: &Input) -> &'static [Path] {
    match input {
        Input::Bind { .. } | Input::Resumable { .. } | Input::Resume { .. } => {
            &[Path::ReturnOfAPausedSession]
        }
        Input::Outbound { .. } => &[
            Path::MessageOut,
            Path::RequestOut,
            Path::DirectedPresence,
            Path::Broadcast,
            Path::ProbesAtLogin,
            Path::PendingRequestsAtLogin,
            Path::ClientProbe,
            Path::SubscriptionOut,
            Path::EnteringARoom,
            Path::RosterRemoval,
        ],
        Input::Inbound { .. } => &[
            Path::MessageIn,
            Path::HeadlineIn,
            Path::GroupchatIn,
            Path::PrivateMessageInARoom,
            Path::InvitationByARoom,
            Path::AttentionIn,
            Path::RequestToAResource,
            Path::RequestToTheAccount,
            Path::AnswerIn,
            Path::PresenceIn,
            Path::AnnotatedPresenceIn,
            Path::DecloakIn,
            Path::ProbeIn,
            Path::PokeIn,
            Path::SubscriptionIn,
            Path::KeptForTheAbsent,
        ],
        Input::Released(_) => &[],
        Input::Undelivered(_) => &[Path::Redelivery],
        // The session ends, or waits for its client.
        Input::Overflowed(_) | Input::Ended { .. } => &[Path::EndOfASession, Path::PauseOfASession],
        Input::Paused { .. } => &[Path::PauseOfASession],
        Input::Continued(_) => &[Path::ReturnOfAPausedSession],
        Input::Waiting(_) => &[Path::WaitedForTheUser],
        // Answers to requests that were asked about when they came.
        Input::Loaded(_) => &[Path::RequestToTheAccount],
        Input::Wake(key) => behind_key(*key),
        Input::Path { .. } => &[Path::DomainOutOfReach, Path::DomainIsBack],
        Input::Admin(request) => behind_admin(request),
    }
}

fn behind_key(key: Key) -> &'static [Path] {
    match key {
        Key::Settle | Key::Held | Key::Wishes => &[],
        Key::Pokes => &[Path::PokeIn],
        Key::Paused => &[Path::PauseOfASession],
        Key::Annotate => &[Path::DomainOutOfReach],
        Key::Reprobe | Key::Unanswered | Key::SelfPing => &[Path::DomainIsBack],
        Key::Expire => &[Path::EndOfASession, Path::Redelivery],
    }
}

fn behind_admin(request: &AdminRequest) -> &'static [Path] {
    match request {
        AdminRequest::Sessions(_)
        | AdminRequest::ExplainPrivacy(..)
        | AdminRequest::ExplainPresence(..)
        | AdminRequest::SetFlags(_)
        | AdminRequest::Made
        | AdminRequest::Suspend
        | AdminRequest::Settle(_)
        | AdminRequest::Keep(_) => &[],
        AdminRequest::Poke(..) => &[Path::OperatorsPoke],
        AdminRequest::End(..) | AdminRequest::Expel(..) => &[Path::EndOfASession],
        AdminRequest::CancelSubscriptions(_) => &[Path::EndOfTheAccount],
        AdminRequest::Restore(_) => &[Path::ReturnOfAPausedSession],
        AdminRequest::TellVanished => &[Path::GoodbyeAfterACrash],
    }
}

/// Every path that is behind an input, by one example of each.
pub(crate) fn all() -> Vec<Path> {
    let session = account::SessionId(1);
    let mailbox = || stream_management::Mailbox::new(stream_management::Limits { stanzas: 1, bytes: 1 });
    let stanza = || crate::house::stanza("<message from='a@b' to='c@d'/>");
    let entry = stream_management::Entry {
        parcel: stanza::Parcel::new(stanza()),
        receipt: None,
        storable: false,
        stored: None,
        copies: None,
        pushed: machine::Moment::from_micros(0),
    };
    let parcel = stanza::Parcel::new(stanza());
    let mut inputs = vec![
        Input::Outbound {
            session,
            stanza: stanza(),
            receipt: None,
        },
        Input::Inbound {
            parcel,
            receipt: None,
        },
        Input::Undelivered(Box::new(entry)),
        Input::Ended {
            session,
            mailbox: mailbox(),
            end: account::End::Lost,
        },
        Input::Continued(session),
        Input::Waiting(Ok(Vec::new())),
        Input::Path {
            domain: crate::house::address("b"),
            path: account::Path::Clear,
        },
    ];
    let key = |key| Input::Wake(key);
    inputs.extend(
        [
            Key::Pokes,
            Key::Paused,
            Key::Annotate,
            Key::Reprobe,
            Key::Unanswered,
            Key::Expire,
        ]
        .map(key),
    );
    let address = crate::house::address("a@b");
    inputs.extend(
        [
            AdminRequest::Poke(address.clone(), address, Box::new(|_| {})),
            AdminRequest::CancelSubscriptions(Box::new(|| {})),
            AdminRequest::TellVanished,
        ]
        .map(Input::Admin),
    );
    inputs.iter().flat_map(behind_input).copied().collect()
}
