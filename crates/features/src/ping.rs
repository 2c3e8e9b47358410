//! Are you there? (XEP-0199)

use crate::request::Request;
use crate::{AccountFacts, Answer, HostFacts};

/// XEP-0199 §4.2, §4.3.
pub(crate) fn of_host(_request: &Request<'_>, _host: &HostFacts) -> Answer {
    Answer::Reply(Ok(Vec::new()))
}

/// XEP-0199 §4.2: the server answers for the account.
pub(crate) fn of_account(_request: &Request<'_>, _account: &AccountFacts<'_>) -> Answer {
    Answer::Reply(Ok(Vec::new()))
}

#[cfg(test)]
mod tests {
    use crate::Asker;
    use crate::tests::{Outcome, World};

    const PING: &str = "get <ping xmlns='urn:xmpp:ping'/>";

    #[test]
    fn xep0199_4_2_a_client_pings_its_host_or_its_own_account() {
        let pong = Outcome::Result(String::new());
        assert_eq!(World::new().host(Asker::Own, PING), pong);
        assert_eq!(World::new().account(Asker::Own, PING), pong);
    }

    #[test]
    fn xep0199_4_3_another_server_pings_the_host() {
        assert_eq!(
            World::new().host(Asker::Stranger, PING),
            Outcome::Result(String::new())
        );
    }
}
