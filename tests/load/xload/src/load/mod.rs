//! The load commands: everybody logs in, the traffic begins, and is looked at.
mod login;
mod measure;
mod traffic;

use self::traffic::Shared;
use crate::args::Args;
use crate::net::Cfg;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Idle,
    Chat,
    Roster,
    Presence,
    Muc,
}

/// The options of a command, beside those of the connection.
struct Plan {
    kind: Kind,
    rooms: usize,
    occupants: usize,
    contacts: usize,
    inflight: usize,
    /// messages in a second, of an open loop; 0: a closed one
    rate: f64,
    hold: f64,
    cut: bool,
    no_presence: bool,
    roster: bool,
    warmup: f64,
    secs: f64,
    windows: usize,
}

impl Plan {
    fn of(a: &Args) -> Plan {
        let kind = match a.cmd.as_str() {
            "idle" => Kind::Idle,
            "chat" => Kind::Chat,
            "roster" => Kind::Roster,
            "presence" => Kind::Presence,
            _ => Kind::Muc,
        };
        // An option of another command is an unknown one.
        let of = |kinds: &[Kind], name, usual| {
            if kinds.contains(&kind) {
                a.num(name, usual)
            } else {
                0
            }
        };
        Plan {
            kind,
            rooms: of(&[Kind::Muc], "rooms", 10),
            occupants: of(&[Kind::Muc], "occupants", 100),
            contacts: of(&[Kind::Presence, Kind::Roster], "contacts", 50),
            inflight: a.num("inflight", if kind == Kind::Presence { 20 } else { 1 }),
            rate: a.num("rate", 0.0),
            hold: a.num("hold", 20.0),
            cut: a.flag("cut"),
            no_presence: a.flag("no-presence"),
            roster: a.flag("roster"),
            warmup: a.num("warmup", 3.0),
            secs: a.num("secs", 10.0),
            windows: a.num("windows", 3),
        }
    }

    /// Rounds that go on at the same time, where a round is more than one delivery.
    fn tokens(&self) -> usize {
        match self.kind {
            Kind::Presence => self.inflight,
            Kind::Muc => self.rooms * self.inflight,
            _ => 0,
        }
    }

    /// Deliveries of one round.
    fn fanout(&self) -> u32 {
        (if self.kind == Kind::Muc {
            self.occupants
        } else {
            self.contacts
        }) as u32
    }
}

pub async fn main(a: Args) -> i32 {
    let cfg = Cfg::from(&a);
    if a.cmd == "register" {
        a.num("threads", 1);
        a.finish();
        return login::register(cfg).await;
    }
    let plan = Plan::of(&a);
    let occupants = plan.rooms * plan.occupants;
    if plan.kind == Kind::Muc && cfg.users != occupants {
        eprintln!("note: --users must be rooms*occupants = {occupants}");
        return 2;
    }
    let sh = Shared::new(&plan, cfg, &a);
    a.num("threads", 1);
    a.finish();

    let (start, waits) = watch::channel(false);
    let (roles, senders) = login::roles(&plan, &sh);
    let there = match login::log_in(&plan, &sh, roles, &waits).await {
        Ok(there) => there,
        Err(e) => {
            eprintln!("login: {e}");
            return 1;
        }
    };
    measure::tell_logins(&sh.cfg, &there);
    if plan.kind == Kind::Idle {
        return measure::idle(&plan, &sh, &there).await;
    }
    if plan.kind != Kind::Chat {
        measure::calm(&sh, Duration::from_secs(1), 60).await;
    }
    let _ = start.send(true);
    if plan.kind == Kind::Roster {
        return measure::subscriptions(&plan, &sh).await;
    }
    if plan.rate > 0.0 {
        traffic::hand_out(plan.rate, senders, sh.clone());
    }
    let code = measure::windows(&plan, &sh).await;
    // let what is in flight arrive, or it would be stored as offline messages
    sh.running.store(false, Relaxed);
    measure::calm(&sh, Duration::from_millis(300), 20).await;
    code
}
