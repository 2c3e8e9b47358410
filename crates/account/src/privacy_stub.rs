#![allow(missing_docs)]
#[derive(Debug, Clone, Default)]
pub struct Stored;
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change;
#[derive(Debug, Clone)]
pub struct Limits;
pub struct Lists;
impl Lists { pub fn load(_: Stored) -> Lists { Lists } }
