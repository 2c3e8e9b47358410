//! In-band registration: an account for a stranger, another password, the end of an account (XEP-0077).
//!
//! Errors carry the old codes of XEP-0086 too, as XEP-0077 §9 demands, and never repeat what was sent (§3.3).

use sasl::{Password, PasswordRefused};
use stanza::namespace::REGISTER as NAMESPACE;
use stanza::{Address, Condition, ErrorKind, StanzaError};
use xml::Tree;

use crate::disco_info::reply;
use crate::request::{Asker, Request};
use crate::{AccountFacts, Action, Answer, HostFacts, Reply};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registration;
    use crate::tests::{Outcome, World, iq};

    const FIELDS: &str = "get <query xmlns='jabber:iq:register'/>";
    const REMOVE: &str = "set <query xmlns='jabber:iq:register'><remove/></query>";

    fn open() -> World {
        let mut world = World::new();
        world.host.registration = Registration::Open;
        world
    }

    fn set(inside: &str) -> String {
        format!("set <query xmlns='jabber:iq:register'>{inside}</query>")
    }

    fn credentials(name: &str, password: &str) -> String {
        set(&format!(
            "<username>{name}</username><password>{password}</password>"
        ))
    }

    const BAD_REQUEST: Option<(Condition, ErrorKind, Option<u16>)> =
        Some((Condition::BadRequest, ErrorKind::Modify, Some(400)));
    const NOT_ACCEPTABLE: Option<(Condition, ErrorKind, Option<u16>)> =
        Some((Condition::NotAcceptable, ErrorKind::Modify, Some(406)));
    const UNAVAILABLE: Option<(Condition, ErrorKind, Option<u16>)> =
        Some((Condition::ServiceUnavailable, ErrorKind::Cancel, Some(503)));

    #[test]
    fn xep0077_3_1_an_open_host_names_the_fields() {
        let Outcome::Result(form) = open().host(Asker::Unregistered, FIELDS) else {
            panic!("no form")
        };
        assert!(
            form.starts_with("<query xmlns='jabber:iq:register'><instructions>"),
            "{form}"
        );
        assert!(
            form.ends_with("</instructions><username/><password/></query>"),
            "{form}"
        );
    }

    #[test]
    fn xep0077_3_1_a_closed_host_is_unavailable() {
        assert_eq!(
            World::new().host(Asker::Unregistered, FIELDS).error(),
            UNAVAILABLE
        );
        assert_eq!(
            World::new()
                .host(Asker::Unregistered, &credentials("bill", "Calliope"))
                .error(),
            UNAVAILABLE
        );
        assert_eq!(
            World::new().host(Asker::Unregistered, REMOVE).error(),
            UNAVAILABLE
        );
    }

    #[test]
    fn xep0077_3_1_an_own_user_is_told_that_he_is_registered() {
        for answer in [
            World::new().host(Asker::Own, FIELDS),
            open().host(Asker::Own, FIELDS),
            World::new().account(Asker::Own, FIELDS),
        ] {
            let Outcome::Result(form) = answer else {
                panic!("no form")
            };
            assert!(form.contains("<registered/>"), "{form}");
            assert!(
                form.ends_with("<username>juliet</username><password/></query>"),
                "{form}"
            );
        }
    }

    #[test]
    fn xep0077_3_1_name_and_password_make_an_account() {
        let registered = |name: &str| open().host(Asker::Unregistered, &credentials(name, "Calliope"));
        assert_eq!(
            registered("bill"),
            Outcome::Acts("register bill@capulet.lit".into())
        );
        assert_eq!(
            registered("Bill"),
            Outcome::Acts("register bill@capulet.lit".into()),
            "prepared as RFC 7622 §3.3 says"
        );
        let with_more =
            set("<username>bill</username><email>b@s.example</email><key>k</key><password>C</password>");
        assert_eq!(
            open().host(Asker::Unregistered, &with_more),
            Outcome::Acts("register bill@capulet.lit".into())
        );
    }

    #[test]
    fn xep0077_3_1_missing_or_empty_fields_are_not_acceptable() {
        for inside in [
            "",
            "<username>bill</username>",
            "<password>Calliope</password>",
            "<username>bill</username><password/>",
            "<username>bill</username><password></password>",
            "<username/><password>Calliope</password>",
            "<x xmlns='jabber:x:data' type='submit'/>",
        ] {
            assert_eq!(
                open().host(Asker::Unregistered, &set(inside)).error(),
                NOT_ACCEPTABLE,
                "{inside}"
            );
        }
    }

    #[test]
    fn xep0077_3_1_a_name_must_be_a_localpart_and_nothing_more() {
        let long = "a".repeat(1024);
        for name in [
            "a b",
            "bill@capulet.lit",
            "bill@capulet.lit/x",
            "a@b",
            "bill/x",
            "@",
            "/",
            "a&amp;b",
            "&quot;",
            " ",
            long.as_str(),
        ] {
            assert_eq!(
                open().host(Asker::Unregistered, &credentials(name, "C")).error(),
                NOT_ACCEPTABLE,
                "{name}"
            );
        }
    }

    #[test]
    fn rfc4013_a_password_that_nobody_could_log_in_with_is_not_acceptable() {
        let long = "x".repeat(2000);
        for password in ["a\tb", "💃", long.as_str()] {
            assert_eq!(
                open()
                    .host(Asker::Unregistered, &credentials("bill", password))
                    .error(),
                NOT_ACCEPTABLE
            );
            assert_eq!(
                World::new()
                    .account(Asker::Own, &credentials("juliet", password))
                    .error(),
                NOT_ACCEPTABLE
            );
        }
    }

    #[test]
    fn a_field_that_is_there_twice_is_a_bad_request() {
        let twice = set("<username>bill</username><username>bob</username><password>C</password>");
        assert_eq!(open().host(Asker::Unregistered, &twice).error(), BAD_REQUEST);
        let twice = set("<username>juliet</username><password>C</password><password>D</password>");
        assert_eq!(World::new().host(Asker::Own, &twice).error(), BAD_REQUEST);
    }

    #[test]
    fn xep0077_3_2_the_end_of_an_account() {
        let removed = Outcome::Acts("remove juliet@capulet.lit".into());
        assert_eq!(World::new().account(Asker::Own, REMOVE), removed);
        assert_eq!(World::new().host(Asker::Own, REMOVE), removed);
    }

    #[test]
    fn xep0077_3_2_remove_must_stand_alone() {
        for inside in [
            "<remove/><username>juliet</username>",
            "<username>juliet</username><remove/>",
            "<remove/><remove/>",
        ] {
            assert_eq!(
                World::new().account(Asker::Own, &set(inside)).error(),
                BAD_REQUEST,
                "{inside}"
            );
        }
    }

    #[test]
    fn xep0077_3_2_who_has_no_account_here_cannot_end_one() {
        let required = Some((Condition::RegistrationRequired, ErrorKind::Auth, Some(407)));
        assert_eq!(World::new().host(Asker::Stranger, REMOVE).error(), required);
        assert_eq!(open().host(Asker::Stranger, REMOVE).error(), required);
        let unexpected = Some((Condition::UnexpectedRequest, ErrorKind::Wait, Some(400)));
        assert_eq!(open().host(Asker::Unregistered, REMOVE).error(), unexpected);
    }

    #[test]
    fn xep0077_3_2_one_account_cannot_end_another() {
        for asker in [Asker::Stranger, Asker::Contact] {
            assert_eq!(World::new().account(asker, REMOVE).word(), "service-unavailable");
            assert_eq!(
                World::new().account(asker, &credentials("juliet", "x")).word(),
                "service-unavailable"
            );
        }
    }

    #[test]
    fn xep0077_3_3_a_user_changes_his_password() {
        let changed = Outcome::Acts("change juliet@capulet.lit".into());
        for name in ["juliet", "Juliet"] {
            assert_eq!(
                World::new().host(Asker::Own, &credentials(name, "newpass")),
                changed
            );
            assert_eq!(
                World::new().account(Asker::Own, &credentials(name, "newpass")),
                changed
            );
        }
    }

    #[test]
    fn xep0077_3_3_incomplete_or_empty_changes_are_bad_requests() {
        for inside in [
            "",
            "<password>newpass</password>",
            "<username>juliet</username>",
            "<username>juliet</username><password/>",
            "<username>juliet</username><password></password>",
        ] {
            assert_eq!(
                World::new().host(Asker::Own, &set(inside)).error(),
                BAD_REQUEST,
                "{inside}"
            );
        }
    }

    #[test]
    fn xep0077_3_3_only_ones_own_password_can_be_changed() {
        let not_allowed = Some((Condition::NotAllowed, ErrorKind::Cancel, Some(405)));
        for name in ["romeo", "", "juliet@capulet.lit", "juliet/x", "a b"] {
            assert_eq!(
                open().host(Asker::Own, &credentials(name, "x")).error(),
                not_allowed,
                "{name}"
            );
        }
    }

    #[test]
    fn xep0077_3_3_errors_do_not_repeat_the_password() {
        let request = credentials("romeo", "s3cret");
        let Outcome::Error(error) = World::new().host(Asker::Own, &request) else {
            panic!("allowed")
        };
        let reply = iq(Asker::Own, &request).error(error).unwrap();
        assert!(!reply.element().as_str().contains("s3cret"));
    }

    #[test]
    fn a_password_is_not_shown_by_debug_output() {
        let password = Password::new("s3cret").unwrap();
        let action = Action::ChangePassword {
            account: crate::tests::address("juliet@capulet.lit"),
            password,
        };
        assert!(!format!("{:?}", Answer::Act(action)).contains("s3cret"));
    }

    #[test]
    fn xep0077_9_setbacks_carry_old_and_new_errors() {
        for (setback, condition, kind, code) in [
            (Setback::NameTaken, Condition::Conflict, ErrorKind::Cancel, 409),
            (Setback::TooMany, Condition::NotAcceptable, ErrorKind::Wait, 406),
            (
                Setback::Unavailable,
                Condition::InternalServerError,
                ErrorKind::Wait,
                500,
            ),
        ] {
            let error = StanzaError::from(setback);
            assert_eq!(
                (error.condition, error.kind, error.code),
                (condition, kind, Some(code))
            );
        }
    }
}
