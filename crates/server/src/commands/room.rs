//! `balcony room list|show|destroy`: chat rooms.

use super::{Output, ask_anyway, configuration, misunderstood, say_all, say_json};
use crate::admin::{Reply, Request, Room};
use crate::cli::{Arguments, RoomCommand};
use crate::report::{Exit, Report};
use crate::terminal::say;

pub(super) fn room(arguments: &Arguments, command: &RoomCommand, output: Output) -> Result<Exit, Report> {
    let request = match command {
        RoomCommand::List => Request::RoomList,
        RoomCommand::Show { room } => Request::RoomShow { room: room.clone() },
        RoomCommand::Destroy { room, reason } => Request::RoomDestroy {
            room: room.clone(),
            reason: reason.clone(),
        },
    };
    let reply = ask_anyway(&configuration(arguments)?, &request, "room")?;
    match (command, &reply, output) {
        (RoomCommand::List | RoomCommand::Show { .. }, Reply::Rooms { .. }, Output::Machines)
        | (RoomCommand::Destroy { .. }, Reply::Done, Output::Machines) => say_json(&reply),
        (RoomCommand::List, Reply::Rooms { rooms }, Output::People) => {
            say_all(rooms, line, "there are no rooms");
        }
        (RoomCommand::Show { .. }, Reply::Rooms { rooms }, Output::People) => {
            rooms.iter().map(page).for_each(say);
        }
        (RoomCommand::Destroy { room, .. }, Reply::Done, Output::People) => {
            say(format!("{room} is destroyed"));
        }
        (RoomCommand::List | RoomCommand::Show { .. } | RoomCommand::Destroy { .. }, _, _) => {
            return Err(misunderstood(&reply));
        }
    }
    Ok(Exit::Fine)
}

/// One room on one line.
fn line(room: &Room) -> String {
    let mut words = vec![count(room.occupants, "occupant", "occupants")];
    words.extend(traits(room).into_iter().map(str::to_owned));
    format!("{}  {}", room.room, words.join(", "))
}

fn page(room: &Room) -> String {
    let mut text = room.room.clone();
    if !room.name.is_empty() {
        text.push_str(&format!("\n    name: {}", room.name));
    }
    text.push_str(&format!(
        "\n    in it: {}, {}",
        count(room.occupants, "occupant", "occupants"),
        count(room.clients, "client", "clients"),
    ));
    if room.unreachable + room.paused > 0 {
        text.push_str(&format!(
            "\n    out of reach: {} whose server cannot be reached, {} whose client has no connection",
            room.unreachable, room.paused
        ));
    }
    text.push_str(&format!(
        "\n    entry: {}",
        match traits(room).join(", ") {
            words if words.is_empty() => "open to all".to_owned(),
            words => words,
        }
    ));
    text.push_str(if room.persistent {
        "\n    stays when nobody is in it"
    } else {
        "\n    ends when the last one leaves"
    });
    if let Some(creator) = &room.creator {
        text.push_str(&format!("\n    made by: {creator}"));
    }
    text
}

/// What sets it apart from a room that is open to all.
fn traits(room: &Room) -> Vec<&'static str> {
    [
        (!room.public, "not listed"),
        (room.members_only, "members only"),
        (room.moderated, "moderated"),
        (room.password_protected, "with a password"),
    ]
    .into_iter()
    .filter_map(|(applies, word)| applies.then_some(word))
    .collect()
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn garden() -> Room {
        Room {
            room: "garden@rooms.montague.lit".to_owned(),
            name: "The garden".to_owned(),
            public: true,
            members_only: false,
            moderated: false,
            password_protected: false,
            persistent: true,
            creator: Some("romeo@montague.lit".to_owned()),
            occupants: 1,
            clients: 2,
            unreachable: 0,
            paused: 0,
        }
    }

    #[test]
    fn who_is_out_of_reach_is_told() {
        let outage = Room {
            occupants: 5,
            unreachable: 2,
            paused: 1,
            ..garden()
        };
        let words =
            "\n    out of reach: 2 whose server cannot be reached, 1 whose client has no connection\n";
        assert!(page(&outage).contains(words), "{}", page(&outage));
        assert!(!page(&garden()).contains("out of reach"));
    }

    #[test]
    fn a_room_is_told_on_one_line_or_on_a_page() {
        assert_eq!(line(&garden()), "garden@rooms.montague.lit  1 occupant");
        assert_eq!(
            page(&garden()),
            "garden@rooms.montague.lit\n    name: The garden\n    in it: 1 occupant, 2 clients\n    entry: open to all\n    \
             stays when nobody is in it\n    made by: romeo@montague.lit"
        );
    }

    #[test]
    fn what_keeps_people_out_of_a_room_is_told() {
        let tomb = Room {
            name: String::new(),
            public: false,
            members_only: true,
            moderated: true,
            password_protected: true,
            persistent: false,
            creator: None,
            occupants: 2,
            clients: 1,
            ..garden()
        };
        let traits = "not listed, members only, moderated, with a password";
        assert_eq!(
            line(&tomb),
            format!("garden@rooms.montague.lit  2 occupants, {traits}")
        );
        assert_eq!(
            page(&tomb),
            format!(
                "garden@rooms.montague.lit\n    in it: 2 occupants, 1 client\n    entry: {traits}\n    ends when the last one leaves"
            )
        );
    }
}
