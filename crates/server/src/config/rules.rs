//! What a configuration must fulfil as a whole, beyond its single values.

use super::schema::Places;
use super::{Configuration, Problem};

/// Everything in `configuration` that contradicts itself, a specification, or the operator's likely intention.
pub(super) fn check(_configuration: &Configuration, _places: &Places) -> Vec<Problem> {
    Vec::new()
}
