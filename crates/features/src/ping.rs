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
