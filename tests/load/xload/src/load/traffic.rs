//! What sessions say to each other: who gets something answers it, or starts the next round.
use super::{Kind, Plan};
use crate::args::Args;
use crate::net::{Cfg, Session};
use crate::stats::{now_ns, Hist};
use crate::xml::{self, Cut};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const PAD: &[u8] = b"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua ";

/// Everything the session tasks share.
pub struct Shared {
    pub cfg: Arc<Cfg>,
    pub kind: Kind,
    pub bare: bool,
    /// Keep replying (closed loop)?
    pub running: AtomicBool,
    pub measuring: AtomicBool,
    open_loop: bool,
    pub body: usize,
    // counters, all time
    pub got: AtomicU64,
    pub sent: AtomicU64,
    pub own_echo: AtomicU64,
    pub stanzas: AtomicU64,
    pub errors: AtomicU64,
    pub closed: AtomicU64,
    pub lat: Hist,
    /// presence/muc: deliveries still to come, per token
    tokens: Vec<AtomicU32>,
    fanout: u32,
    pub contacts: usize,
    pub muc: String,
    pub rooms: usize,
    pub subscribed: AtomicU64,
    pub err_text: Mutex<String>,
}

/// What a session knows of its part.
#[derive(Default)]
pub struct Role {
    /// chat: the peer
    pub to: String,
    /// chat: messages to send at the start; presence/muc: tokens to start
    pub start: Vec<u32>,
    pub rx: Option<mpsc::UnboundedReceiver<u64>>,
    /// muc: room JID
    pub room: String,
}

fn hex16(v: u64, out: &mut Vec<u8>) {
    for i in (0..16).rev() {
        out.push(b"0123456789abcdef"[(v >> (i * 4)) as usize & 15]);
    }
}
fn unhex(b: &[u8]) -> Option<u64> {
    let mut v = 0;
    for c in b {
        v = v << 4 | (*c as char).to_digit(16)? as u64;
    }
    Some(v)
}

impl Shared {
    pub fn new(plan: &Plan, cfg: Arc<Cfg>, a: &Args) -> Arc<Shared> {
        let fanout = plan.fanout();
        Arc::new(Shared {
            kind: plan.kind,
            bare: a.flag("bare"),
            running: AtomicBool::new(true),
            measuring: AtomicBool::new(false),
            open_loop: plan.rate > 0.0,
            body: a.num("body", 100),
            got: 0.into(),
            sent: 0.into(),
            own_echo: 0.into(),
            stanzas: 0.into(),
            errors: 0.into(),
            closed: 0.into(),
            lat: Hist::new(),
            tokens: (0..plan.tokens()).map(|_| AtomicU32::new(fanout)).collect(),
            fanout,
            contacts: plan.contacts,
            muc: a.str("muc", &format!("conference.{}", cfg.domain)),
            rooms: plan.rooms,
            subscribed: 0.into(),
            err_text: Default::default(),
            cfg,
        })
    }

    /// Text with a time stamp (16 hex digits) and a token (8), padded to the body length.
    fn text(&self, ts: u64, token: u32, out: &mut Vec<u8>) {
        let n = out.len();
        out.push(b'T');
        hex16(ts, out);
        hex16(token as u64, out);
        let have = out.len() - n;
        let mut left = self.body.saturating_sub(have);
        while left > 0 {
            let k = left.min(PAD.len());
            out.extend_from_slice(&PAD[..k]);
            left -= k;
        }
    }
    fn message(&self, to: &str, kind: &str, ts: u64, token: u32, out: &mut Vec<u8>) {
        let id = self.sent.fetch_add(1, Relaxed);
        out.extend_from_slice(b"<message to='");
        out.extend_from_slice(to.as_bytes());
        out.extend_from_slice(b"' type='");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"' id='");
        hex16(id, out);
        out.extend_from_slice(b"'><body>");
        self.text(ts, token, out);
        out.extend_from_slice(b"</body></message>");
    }
    fn presence(&self, token: u32, out: &mut Vec<u8>) {
        self.sent.fetch_add(1, Relaxed);
        out.extend_from_slice(b"<presence><show>away</show><status>");
        self.text(now_ns(), token, out);
        out.extend_from_slice(b"</status></presence>");
    }
    fn fail(&self, what: String) {
        let mut t = self.err_text.lock().unwrap();
        if t.is_empty() {
            *t = what;
        }
        self.errors.fetch_add(1, Relaxed);
    }

    /// One incoming stanza; answers are appended to `out`.
    fn on(&self, st: &[u8], me: &[u8], idx: usize, role: &Role, h: &mut u32, sm: bool, out: &mut Vec<u8>) {
        match st.get(1) {
            Some(b'm') if st.starts_with(b"<message") => {
                *h = h.wrapping_add(1);
                if self.kind != Kind::Chat && self.kind != Kind::Muc {
                    return;
                }
                let Some(i) = memchr::memmem::find(st, b"<body>T") else {
                    return;
                };
                let Some(ts) = st.get(i + 7..i + 23).and_then(unhex) else {
                    return;
                };
                let Some(tok) = st.get(i + 23..i + 39).and_then(unhex) else {
                    return;
                };
                if xml::attr(st, b"type") == Some(b"error") {
                    self.fail(format!("message error: {}", String::from_utf8_lossy(st)));
                    return;
                }
                if self.kind == Kind::Muc && xml::has(st, b"urn:xmpp:delay") {
                    return; // room history
                }
                let now = now_ns();
                self.got.fetch_add(1, Relaxed);
                if self.measuring.load(Relaxed) {
                    self.lat.add(now.saturating_sub(ts));
                }
                if self.kind == Kind::Chat {
                    if !self.open_loop && self.running.load(Relaxed) {
                        self.message(&role.to, "chat", now, 0, out);
                    }
                } else if self.token_done(tok) {
                    self.message(&role.room, "groupchat", now_ns(), tok as u32, out);
                }
            }
            Some(b'p') if st.starts_with(b"<presence") => {
                *h = h.wrapping_add(1);
                if self.kind == Kind::Roster {
                    let Some(from) = xml::attr(st, b"from") else {
                        return;
                    };
                    let bare = from.split(|c| *c == b'/').next().unwrap_or(from);
                    match xml::attr(st, b"type") {
                        Some(b"subscribe") => {
                            out.extend_from_slice(b"<presence type='subscribed' to='");
                            out.extend_from_slice(bare);
                            out.extend_from_slice(b"'/>");
                            if !self.initiated(idx, bare) {
                                out.extend_from_slice(b"<presence type='subscribe' to='");
                                out.extend_from_slice(bare);
                                out.extend_from_slice(b"'/>");
                            }
                        }
                        Some(b"subscribed") => {
                            self.subscribed.fetch_add(1, Relaxed);
                            // the next one of ours
                            if let Some(d) = self.distance(idx, bare) {
                                self.subscribe(idx, d + 1, out);
                            }
                        }
                        _ => {}
                    }
                    return;
                }
                if self.kind != Kind::Presence {
                    if xml::attr(st, b"type") == Some(b"error") {
                        self.fail(format!("presence error: {}", String::from_utf8_lossy(st)));
                    }
                    return;
                }
                let Some(i) = memchr::memmem::find(st, b"<status>T") else {
                    return;
                };
                let Some(ts) = st.get(i + 9..i + 25).and_then(unhex) else {
                    return;
                };
                let Some(tok) = st.get(i + 25..i + 41).and_then(unhex) else {
                    return;
                };
                if xml::attr(st, b"from").is_some_and(|f| f.starts_with(me)) {
                    self.own_echo.fetch_add(1, Relaxed);
                    return;
                }
                self.got.fetch_add(1, Relaxed);
                if self.measuring.load(Relaxed) {
                    self.lat.add(now_ns().saturating_sub(ts));
                }
                if self.token_done(tok) {
                    self.presence(tok as u32, out);
                }
            }
            Some(b'i') if st.starts_with(b"<iq") => {
                *h = h.wrapping_add(1);
                let ty = xml::attr(st, b"type");
                if ty == Some(b"get") || ty == Some(b"set") {
                    out.extend_from_slice(b"<iq type='result' id='");
                    out.extend_from_slice(xml::attr(st, b"id").unwrap_or(b""));
                    if let Some(f) = xml::attr(st, b"from") {
                        out.extend_from_slice(b"' to='");
                        out.extend_from_slice(f);
                    }
                    out.extend_from_slice(b"'/>");
                }
            }
            Some(b'r')
                if sm && (st.starts_with(b"<r ") || st.starts_with(b"<r/") || st.starts_with(b"<r>")) =>
            {
                let _ = write!(out, "<a xmlns='urn:xmpp:sm:3' h='{}'/>", *h);
            }
            Some(b's') if st.starts_with(b"<stream:error") => {
                self.fail(String::from_utf8_lossy(st).into_owned());
            }
            _ => {}
        }
    }

    /// Count a delivery of the token; true: that was the last, the caller starts the next round.
    fn token_done(&self, tok: u64) -> bool {
        let Some(t) = self.tokens.get(tok as usize) else {
            return false;
        };
        if t.fetch_sub(1, Relaxed) == 1 && self.running.load(Relaxed) {
            t.store(self.fanout, Relaxed);
            return true;
        }
        false
    }
    fn index_of(&self, bare: &[u8]) -> Option<usize> {
        let node = bare.split(|c| *c == b'@').next()?;
        let n = node.strip_prefix(self.cfg.prefix.as_bytes())?;
        std::str::from_utf8(n)
            .ok()?
            .parse::<usize>()
            .ok()?
            .checked_sub(self.cfg.first)
    }
    /// How far round the ring a contact of ours is, if we are the side that asks first.
    fn distance(&self, idx: usize, bare: &[u8]) -> Option<usize> {
        let j = self.index_of(bare)?;
        let d = (j + self.cfg.users - idx) % self.cfg.users;
        (d >= 1 && d <= self.contacts / 2).then_some(d)
    }
    fn initiated(&self, idx: usize, bare: &[u8]) -> bool {
        self.distance(idx, bare).is_some()
    }
    fn subscribe(&self, idx: usize, d: usize, out: &mut Vec<u8>) {
        if d <= self.contacts / 2 {
            let to = self.cfg.bare((idx + d) % self.cfg.users);
            let _ = write!(out, "<presence type='subscribe' to='{to}'/>");
        }
    }
}

/// Handle all whole stanzas in the buffer.
fn drain(sh: &Shared, s: &mut Session, role: &Role, out: &mut Vec<u8>) -> bool {
    let mut n = 0;
    let open = loop {
        match xml::cut(&s.buf, s.pos) {
            Cut::Stanza(a, b) => {
                s.pos = b;
                n += 1;
                sh.on(&s.buf[a..b], &s.me, s.idx, role, &mut s.h, s.sm, out);
            }
            Cut::Header(_, b) => s.pos = b,
            Cut::More => break true,
            Cut::Close => break false,
        }
    };
    if n > 0 {
        sh.stanzas.fetch_add(n, Relaxed);
    }
    s.compact();
    open
}

pub async fn session(sh: Arc<Shared>, mut s: Session, mut role: Role, mut start: watch::Receiver<bool>) {
    let mut out = Vec::new();
    let r: std::io::Result<()> = async {
        // until the start: only listen
        loop {
            tokio::select! {
                _ = start.changed() => break,
                r = s.conn.read_into(&mut s.buf) => {
                    r?;
                    let open = drain(&sh, &mut s, &role, &mut out);
                    if !out.is_empty() {
                        s.conn.send(&out).await?;
                        out.clear();
                    }
                    if !open { return Err(std::io::ErrorKind::ConnectionAborted.into()); }
                }
            }
        }
        for t in &role.start {
            match sh.kind {
                Kind::Chat => sh.message(&role.to, "chat", now_ns(), 0, &mut out),
                Kind::Presence => sh.presence(*t, &mut out),
                Kind::Muc => sh.message(&role.room, "groupchat", now_ns(), *t, &mut out),
                Kind::Roster => sh.subscribe(s.idx, 1, &mut out),
                Kind::Idle => {}
            }
        }
        if let Some(mut rx) = role.rx.take() {
            loop {
                if !out.is_empty() {
                    s.conn.send(&out).await?;
                    out.clear();
                }
                tokio::select! {
                    biased;
                    m = rx.recv() => {
                        let Some(due) = m else { break };
                        sh.message(&role.to, "chat", due, 0, &mut out);
                        while let Ok(due) = rx.try_recv() {
                            sh.message(&role.to, "chat", due, 0, &mut out);
                        }
                    }
                    r = s.conn.read_into(&mut s.buf) => {
                        r?;
                        if !drain(&sh, &mut s, &role, &mut out) {
                            return Err(std::io::ErrorKind::ConnectionAborted.into());
                        }
                    }
                }
            }
        }
        loop {
            if !out.is_empty() {
                s.conn.send(&out).await?;
                out.clear();
            }
            s.conn.read_into(&mut s.buf).await?;
            if !drain(&sh, &mut s, &role, &mut out) {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
        }
    }
    .await;
    if let Err(e) = r {
        sh.closed.fetch_add(1, Relaxed);
        sh.fail(format!("session {}: {e}", s.idx));
    }
}

/// Open loop: a thread that hands out due times, `rate` in a second, whatever comes of them.
pub fn hand_out(rate: f64, senders: Vec<mpsc::UnboundedSender<u64>>, sh: Arc<Shared>) {
    std::thread::spawn(move || {
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        let step = 1e9 / rate;
        let t0 = now_ns() + 1_000_000;
        let mut k: u64 = 0;
        // a stride that is prime to the number of senders spreads neighbours in time
        let stride = (1..)
            .map(|x| x * 2 + 1 + senders.len() / 3)
            .find(|s| gcd(*s, senders.len()) == 1)
            .unwrap();
        while sh.running.load(Relaxed) {
            let due = t0 + (k as f64 * step) as u64;
            let now = now_ns();
            if due > now {
                std::thread::sleep(Duration::from_nanos((due - now).max(50_000)));
                continue;
            }
            let _ = senders[(k as usize * stride) % senders.len()].send(due);
            k += 1;
        }
    });
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}
