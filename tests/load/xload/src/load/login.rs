//! Making accounts, and logging in to them: everybody gets a role, and a task that plays it.
use super::measure::{emit, head};
use super::traffic::{session, Role, Shared};
use super::{Kind, Plan};
use crate::net::{Cfg, Session};
use crate::stats::{now_ns, snap, used, Hist, Snap, Used};
use crate::xml;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// In-band registration of all accounts (XEP-0077).
pub async fn register(cfg: Arc<Cfg>) -> i32 {
    let next = Arc::new(AtomicUsize::new(0));
    let (made, had) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let a = snap(cfg.pid);
    let mut ts = vec![];
    for _ in 0..cfg.concurrency {
        let (cfg, next, made, had) = (cfg.clone(), next.clone(), made.clone(), had.clone());
        ts.push(tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Relaxed);
                if i >= cfg.users {
                    return Ok(());
                }
                let mut s = Session::connect(&cfg, i).await?;
                let q = format!(
                    "<iq type='set' id='reg'><query xmlns='jabber:iq:register'><username>{}</username><password>{}</password></query></iq>",
                    cfg.user(i),
                    cfg.password
                );
                s.conn.send(q.as_bytes()).await?;
                match s.result(b"reg").await {
                    Ok(_) => made.fetch_add(1, Relaxed),
                    Err(e) if e.to_string().contains("conflict") => had.fetch_add(1, Relaxed),
                    Err(e) => return Err(e),
                };
                let _ = s.conn.send(b"</stream:stream>").await;
            }
        }));
    }
    let mut code = 0;
    for t in ts {
        if let Ok(Err(e)) = t.await {
            eprintln!("register: {e}");
            code = 1;
        }
    }
    let u = used(&a, &snap(cfg.pid));
    let (m, h) = (made.load(Relaxed), had.load(Relaxed));
    emit(
        &cfg,
        head(&cfg, "register")
            .n("made", m)
            .n("existed", h)
            .f("secs", u.secs)
            .f("server_cpu_ms_per_account", u.server_us / 1e3 / m.max(1) as f64)
            .end(),
        format!("register: {m} made, {h} existed, {:.1} s", u.secs),
    );
    code
}

/// What everybody is to do, and where the times go at which an open loop wants something said.
pub fn roles(plan: &Plan, sh: &Shared) -> (Vec<Option<Role>>, Vec<mpsc::UnboundedSender<u64>>) {
    let (cfg, tokens) = (&sh.cfg, plan.tokens());
    let mut senders = Vec::new();
    let role = |i: usize| {
        let mut r = Role::default();
        match plan.kind {
            Kind::Chat => {
                let peer = i ^ 1;
                r.to = if sh.bare { cfg.bare(peer) } else { cfg.full(peer) };
                if plan.rate > 0.0 {
                    let (tx, rx) = mpsc::unbounded_channel();
                    senders.push(tx);
                    r.rx = Some(rx);
                } else if i % 2 == 0 && peer < cfg.users {
                    r.start = vec![0; plan.inflight];
                }
            }
            Kind::Roster => r.start = vec![0],
            Kind::Presence => {
                r.start = (0..tokens as u32)
                    .filter(|t| *t as usize * cfg.users / tokens == i)
                    .collect()
            }
            Kind::Muc => {
                let room = i % plan.rooms;
                r.room = format!("room{room}@{}", sh.muc);
                if i / plan.rooms == 0 {
                    r.start = (0..plan.inflight)
                        .map(|k| (room * plan.inflight + k) as u32)
                        .collect();
                }
            }
            Kind::Idle => {}
        }
        Some(r)
    };
    let roles = (0..cfg.users).map(role).collect();
    (roles, senders)
}

/// Everybody is there.
pub struct LoggedIn {
    pub before: Snap,
    pub after: Snap,
    /// How long each login took.
    pub times: Arc<Hist>,
    pub sessions: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl LoggedIn {
    pub fn used(&self) -> Used {
        used(&self.before, &self.after)
    }
}

/// Logs everybody in, so many at a time. Their tasks only listen until `start` says that it begins.
pub async fn log_in(
    plan: &Plan,
    sh: &Arc<Shared>,
    roles: Vec<Option<Role>>,
    start: &watch::Receiver<bool>,
) -> io::Result<LoggedIn> {
    let cfg = &sh.cfg;
    let (roles, next) = (Arc::new(Mutex::new(roles)), Arc::new(AtomicUsize::new(0)));
    let entered = Arc::new(AtomicUsize::new(0));
    let (times, sessions) = (Arc::new(Hist::new()), Arc::new(Mutex::new(Vec::new())));
    let before = snap(cfg.pid);
    let mut workers: Vec<JoinHandle<io::Result<()>>> = vec![];
    for _ in 0..cfg.concurrency {
        let (sh, counter, roles, start) = (sh.clone(), next.clone(), roles.clone(), start.clone());
        let (times, sessions, occupants) = (times.clone(), sessions.clone(), entered.clone());
        let (roster, no_presence) = (plan.roster || plan.kind == Kind::Roster, plan.no_presence);
        workers.push(tokio::spawn(async move {
            loop {
                let i = counter.fetch_add(1, Relaxed);
                if i >= sh.cfg.users {
                    return Ok(());
                }
                let role = roles.lock().unwrap()[i].take().unwrap();
                let t = now_ns();
                let mut s = Session::login(&sh.cfg, i).await?;
                if roster {
                    s.conn
                        .send(b"<iq type='get' id='ros'><query xmlns='jabber:iq:roster'/></iq>")
                        .await?;
                    s.result(b"ros").await?;
                }
                if !no_presence {
                    s.conn.send(b"<presence/>").await?;
                }
                times.add(now_ns() - t);
                if sh.kind == Kind::Muc {
                    enter(&mut s, &role.room, i, &sh).await?;
                    occupants.fetch_add(1, Relaxed);
                }
                let task = tokio::spawn(session(sh.clone(), s, role, start.clone()));
                sessions.lock().unwrap().push(task);
            }
        }));
        if plan.kind == Kind::Muc && workers.len() == 1 {
            // Each room is made by its first occupant, who opens it to the others, before anybody else comes.
            let made = || entered.load(Relaxed) >= plan.rooms.min(cfg.users);
            while !made() && !workers[0].is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    for worker in workers {
        if let Ok(outcome) = worker.await {
            outcome?;
        }
    }
    Ok(LoggedIn {
        before,
        after: snap(cfg.pid),
        times,
        sessions,
    })
}

/// Enters a room, and waits for the own presence in it.
async fn enter(s: &mut Session, room: &str, i: usize, sh: &Shared) -> io::Result<()> {
    let nick = sh.cfg.user(i);
    let j = format!("<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>");
    s.conn.send(j.as_bytes()).await?;
    loop {
        let st = s.stanza().await?;
        if !st.starts_with(b"<presence") {
            continue;
        }
        if xml::attr(&st, b"type") == Some(b"error") {
            return Err(io::Error::other(String::from_utf8_lossy(&st).into_owned()));
        }
        if xml::has(&st, b"'110'") || xml::has(&st, b"\"110\"") {
            break;
        }
    }
    if i < sh.rooms {
        // the creator unlocks it
        let q = format!("<iq type='set' id='own' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>");
        s.conn.send(q.as_bytes()).await?;
        let _ = s.result(b"own").await; // not the owner of a room that was there already: fine
    }
    Ok(())
}
