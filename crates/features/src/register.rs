//! In-band registration: an account for a stranger, another password, the end of an account (XEP-0077).
//!
//! Errors carry the old codes of XEP-0086 too, as XEP-0077 §9 demands, and never repeat what was sent (§3.3).

use sasl::{Password, PasswordRefused};
use stanza::{Address, Condition, ErrorKind, StanzaError};
use xml::Tree;

use crate::disco_info::reply;
use crate::request::{Asker, Request};
use crate::{AccountFacts, Action, Answer, HostFacts, Reply};

pub(crate) const NAMESPACE: &str = "jabber:iq:register";

/// The stream feature that offers registration before login (XEP-0077 §8), as it stands in `<stream:features/>`.
pub const REGISTER_STREAM_FEATURE: &str = "<register xmlns='http://jabber.org/features/iq-register'/>";

/// Why an [`Action`] could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// There is such an account already (XEP-0077 §3.1, example 6).
    NameTaken,
    /// Too many accounts were created from there (XEP-0077 §3.1.1).
    TooMany,
    /// The store cannot answer now.
    Unavailable,
}

impl From<Setback> for StanzaError {
    fn from(setback: Setback) -> StanzaError {
        match setback {
            Setback::NameTaken => coded(Condition::Conflict).text("there is such an account already"),
            Setback::TooMany => coded(Condition::NotAcceptable)
                .kind(ErrorKind::Wait)
                .text("too many accounts from there"),
            Setback::Unavailable => coded(Condition::InternalServerError).kind(ErrorKind::Wait),
        }
    }
}

/// XEP-0077 §3.1: what is to be filled in, or what is on file for the account that asks.
pub(crate) fn fields_at_host(request: &Request<'_>, _host: &HostFacts) -> Answer {
    fields(request)
}

/// A question without `to`: the asker's own server is meant.
pub(crate) fn fields_at_account(request: &Request<'_>, _account: &AccountFacts<'_>) -> Answer {
    fields(request)
}

/// XEP-0077 §3.1 to §3.3.
pub(crate) fn submit_at_host(request: &Request<'_>, host: &HostFacts) -> Answer {
    submit(request, Some(host)).map_or_else(|error| Answer::Reply(Err(error)), Answer::Act)
}

/// A change without `to`, as XEP-0077 §3.2 wants the end of an account to be asked for.
pub(crate) fn submit_at_account(request: &Request<'_>, _account: &AccountFacts<'_>) -> Answer {
    submit(request, None).map_or_else(|error| Answer::Reply(Err(error)), Answer::Act)
}

/// What a host says to those who can have no account there: before login where it is closed, or from elsewhere.
pub(crate) fn refused(request: &Request<'_>) -> Reply {
    let is_from_elsewhere = request.asker != Asker::Unregistered;
    Err(match request.is_set() && is_from_elsewhere {
        // XEP-0077 §3.2, table 1.
        true => coded(Condition::RegistrationRequired),
        // XEP-0077 §3.1.
        false => coded(Condition::ServiceUnavailable),
    })
}

fn fields(request: &Request<'_>) -> Answer {
    let query = Tree::new("query", NAMESPACE);
    let account = request.asking_account().filter(|_| request.asker == Asker::Own);
    let query = match &account {
        Some(account) => query
            .child(element("registered"))
            .child(
                element("instructions")
                    .text("You have an account here. Fill in a new password to change yours."),
            )
            .child(element("username").text(account.localpart().unwrap_or_default())),
        None => query
            .child(
                element("instructions").text("Choose a user name and a password for use with this server."),
            )
            .child(element("username")),
    };
    reply(&query.child(element("password")))
}

/// Which action is asked for. A host is given where one was named.
fn submit(request: &Request<'_>, host: Option<&HostFacts>) -> Result<Action, StanzaError> {
    let form = match request.payload() {
        Some(query) => query.to_tree(),
        None => return Err(coded(Condition::BadRequest)),
    };
    let account = request.asking_account().filter(|_| request.asker == Asker::Own);
    match (form.find(NAMESPACE, "remove"), account, host) {
        (Some(_), Some(account), _) => remove(&form, account),
        (None, Some(account), _) => change_password(&form, account),
        (None, None, Some(host)) if request.asker == Asker::Unregistered => register(&form, host),
        // XEP-0077 §3.2, table 1, and §3.3, table 2: nobody is known to have sent it.
        (Some(_) | None, None, _) => Err(coded(Condition::UnexpectedRequest)),
    }
}

/// XEP-0077 §3.2: `<remove/>` must stand alone.
fn remove(form: &Tree, account: Address) -> Result<Action, StanzaError> {
    match form.children().count() {
        1 => Ok(Action::RemoveAccount { account }),
        _ => Err(coded(Condition::BadRequest).text("<remove/> must stand alone")),
    }
}

/// XEP-0077 §3.3. Only one's own: the name is asked for so that a client shows that it knows what it does.
fn change_password(form: &Tree, account: Address) -> Result<Action, StanzaError> {
    let (Some(name), Some(typed)) = (single(form, "username")?, single(form, "password")?) else {
        return Err(coded(Condition::BadRequest).text("a user name and a password are needed"));
    };
    if account_at(&account.to_domain(), &name).as_ref() != Some(&account) {
        return Err(coded(Condition::NotAllowed).text("only your own password can be changed"));
    }
    match Password::new(&typed) {
        Ok(password) => Ok(Action::ChangePassword { account, password }),
        Err(PasswordRefused::Empty) => Err(coded(Condition::BadRequest).text("the password is empty")),
        Err(refused @ (PasswordRefused::TooLong | PasswordRefused::Forbidden)) => Err(unacceptable(refused)),
    }
}

/// XEP-0077 §3.1: everything that was asked for must be there, and not empty.
fn register(form: &Tree, host: &HostFacts) -> Result<Action, StanzaError> {
    let (Some(name), Some(typed)) = (single(form, "username")?, single(form, "password")?) else {
        return Err(coded(Condition::NotAcceptable).text("a user name and a password are needed"));
    };
    let Some(account) = account_at(&host.address, &name) else {
        return Err(coded(Condition::NotAcceptable).text("this cannot be a user name"));
    };
    let password = Password::new(&typed).map_err(unacceptable)?;
    Ok(Action::Register { account, password })
}

/// The bare address of the account of that name, if the name can be a localpart and nothing more (RFC 7622 §3.3).
fn account_at(host: &Address, name: &str) -> Option<Address> {
    let address = Address::parse(&format!("{name}@{host}")).ok()?;
    let is_account =
        address.localpart().is_some() && address.is_bare() && address.domainpart() == host.as_str();
    is_account.then_some(address)
}

/// The text of a field; named twice, nobody knows which one counts.
fn single(form: &Tree, name: &str) -> Result<Option<String>, StanzaError> {
    let mut fields = form.children().filter(|child| child.is(NAMESPACE, name));
    let first = fields.next().map(|field| field.content().into_owned());
    match fields.next() {
        Some(_) => Err(coded(Condition::BadRequest).text("a field is there twice")),
        None => Ok(first),
    }
}

fn unacceptable(refused: PasswordRefused) -> StanzaError {
    coded(Condition::NotAcceptable).text(refused.to_string())
}

/// An error with its code in the old style (XEP-0086 §2).
fn coded(condition: Condition) -> StanzaError {
    let code = CODES
        .iter()
        .find(|(known, _)| *known == condition)
        .map(|(_, code)| *code);
    StanzaError {
        code,
        ..StanzaError::new(condition)
    }
}

/// The conditions of this file (XEP-0086 §2, table 1).
const CODES: &[(Condition, u16)] = &[
    (Condition::BadRequest, 400),
    (Condition::Conflict, 409),
    (Condition::InternalServerError, 500),
    (Condition::NotAcceptable, 406),
    (Condition::NotAllowed, 405),
    (Condition::RegistrationRequired, 407),
    (Condition::ServiceUnavailable, 503),
    (Condition::UnexpectedRequest, 400),
];

fn element(name: &str) -> Tree {
    Tree::new(name, NAMESPACE)
}
