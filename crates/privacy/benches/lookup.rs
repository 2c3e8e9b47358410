//! Instructions of one question at the door, by the length and kind of the list, counted by valgrind:
//! `cargo bench -p balcony-privacy`. A list of 2,000 addresses is to cost what one of ten does.
//!
//! The program runs itself under valgrind with two numbers of rounds; the difference is free of start-up costs.

use std::env;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use privacy::{Direction, ItemRow, ListRow, Lists, Question, Stored};
use roster::{Relation, Roster};
use stanza::{Address, Kind, MessageType};

/// What is asked about, and the list that is asked: how many items, and what they speak of.
const CASES: [(&str, usize, Subject); 10] = [
    ("no list", 0, Subject::Addresses),
    ("1 address", 1, Subject::Addresses),
    ("10 addresses", 10, Subject::Addresses),
    ("100 addresses", 100, Subject::Addresses),
    ("1,000 addresses", 1_000, Subject::Addresses),
    ("2,000 addresses", 2_000, Subject::Addresses),
    ("10 groups", 10, Subject::Groups),
    ("1,000 groups", 1_000, Subject::Groups),
    ("4 subscriptions", 4, Subject::Subscriptions),
    ("1,000 subscriptions", 1_000, Subject::Subscriptions),
];

#[derive(Clone, Copy)]
enum Subject {
    Addresses,
    Groups,
    Subscriptions,
}

const ROUNDS: [u64; 2] = [1_000, 3_000];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [what, rounds] = &arguments[..]
        && let Ok(rounds) = rounds.parse()
    {
        run(what, rounds);
        return ExitCode::SUCCESS;
    }
    println!("{:28}{:>12}", "instructions for a question", "");
    for (name, ..) in CASES {
        let Some(count) = difference(name) else {
            eprintln!("valgrind is needed to count");
            return ExitCode::FAILURE;
        };
        println!("{name:28}{count:>12}");
    }
    ExitCode::SUCCESS
}

/// What one round more costs.
fn difference(what: &str) -> Option<u64> {
    let [few, many] = ROUNDS.map(|rounds| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().ok()?)
            .args([what, &rounds.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8(output.stderr).ok()?;
        let count = report.lines().find_map(|line| line.split_once("Collected : "))?.1;
        count
            .trim()
            .split(' ')
            .next()?
            .replace(',', "")
            .parse::<u64>()
            .ok()
    });
    Some((many? - few?) / (ROUNDS[1] - ROUNDS[0]))
}

fn run(what: &str, rounds: u64) {
    let Some((_, items, subject)) = CASES.iter().find(|(name, ..)| *name == what) else {
        return;
    };
    let Some(asked) = Asked::with(*items, *subject) else {
        return;
    };
    for _ in 0..rounds {
        black_box(asked.question());
    }
}

struct Asked {
    account: Address,
    friend: Address,
    roster: Roster,
    lists: Lists,
}

impl Asked {
    /// A list that denies strangers, and the friend who is asked about is in none of its items: the most that there is to
    /// look for.
    fn with(items: usize, subject: Subject) -> Option<Asked> {
        let account = Address::parse("romeo@montague.lit").ok()?;
        let friend = Address::parse("benvolio@montague.lit/street").ok()?;
        let contact = roster::ItemRow {
            contact: friend.to_bare(),
            name: String::new(),
            groups: vec!["Friends".to_owned(), "Family".to_owned()],
            relation: Relation::Both,
            ask: false,
            approved: false,
            version: 1,
        };
        let stored = roster::Stored {
            items: vec![contact],
            ..roster::Stored::default()
        };
        let roster = Roster::load(&account, stored);
        let item = |order: usize| {
            let (code, value) = match subject {
                Subject::Addresses => (1, format!("guest{order}@capulet.lit")),
                Subject::Groups => (2, format!("Group {order}")),
                Subject::Subscriptions => (3, ["none", "to", "from"].get(order % 3)?.to_string()),
            };
            Some(ItemRow {
                order: u32::try_from(order).ok()?,
                subject: code,
                value,
                deny: true,
                scope: 0,
            })
        };
        let items: Option<Vec<ItemRow>> = (1..=items).map(item).collect();
        let items = items?;
        let list = ListRow {
            name: "list".to_owned(),
            items,
        };
        let is_empty = list.items.is_empty();
        let stored = Stored {
            lists: if is_empty { Vec::new() } else { vec![list] },
            default: (!is_empty).then(|| "list".to_owned()),
        };
        Some(Asked {
            account,
            friend,
            roster,
            lists: Lists::load(stored).ok()?,
        })
    }

    fn question(&self) -> bool {
        let question = Question {
            account: &self.account,
            active: None,
            direction: Direction::In,
            kind: Kind::Message(MessageType::Chat),
            other: &self.friend,
        };
        self.lists.may_pass(black_box(&question), &self.roster).passes()
    }
}
