//! What is looked at while the traffic flows, and how it is told.
use super::login::LoggedIn;
use super::traffic::Shared;
use super::{Kind, Plan};
use crate::net::{Cfg, Over, Tls};
use crate::stats::{snap, used, Json, Snap, Used};
use std::io::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub fn emit(cfg: &Cfg, json: String, human: String) {
    println!("{json}\n# {human}");
    if let Some(f) = &cfg.json {
        match std::fs::OpenOptions::new().create(true).append(true).open(f) {
            Ok(mut f) => drop(writeln!(f, "{json}")),
            Err(e) => eprintln!("{f}: {e}"),
        }
    }
}

pub fn head(cfg: &Cfg, cmd: &str) -> Json {
    Json::default()
        .s("cmd", cmd)
        .s("label", &cfg.label)
        .s(
            "tls",
            match cfg.tls {
                Tls::Plain => "plain",
                Tls::Starttls => "starttls",
                Tls::Direct => "direct",
            },
        )
        .s(
            "over",
            match cfg.over {
                Over::Tcp => "tcp",
                Over::WebSocket => "websocket",
                Over::Bosh => "bosh",
            },
        )
        .s("sasl", if cfg.scram { "SCRAM-SHA-1" } else { "PLAIN" })
        .n("sm", cfg.sm)
        .n("users", cfg.users)
}

/// What the logins cost, for people.
pub fn tell_logins(cfg: &Cfg, there: &LoggedIn) {
    let (u, n) = (there.used(), cfg.users as f64);
    eprintln!(
        "# {} sessions in {:.1} s: {:.0} logins/s, server {:.2} ms CPU each ({:.0} % of a core), generator {:.0} %, other {:.0} %",
        cfg.users, u.secs, n / u.secs, u.server_us / 1e3 / n, u.server_us / u.secs / 1e4, u.own_us / u.secs / 1e4, u.other_pct
    );
}

/// Sessions that do nothing, and what their memory is, also after their connections are gone.
pub async fn idle(plan: &Plan, sh: &Shared, there: &LoggedIn) -> i32 {
    let (cfg, n) = (&sh.cfg, sh.cfg.users as f64);
    let (before, after, lu) = (&there.before, &there.after, there.used());
    let lq = there.times.quantiles(&[0.5, 0.99]);
    tokio::time::sleep(Duration::from_secs_f64(plan.hold)).await;
    let end = snap(cfg.pid);
    let iu = used(after, &end);
    let rss = |s: &Snap| s.server.map(|p| p.rss_kib).unwrap_or(0);
    let per = (rss(&end) as f64 - rss(before) as f64) / n;
    if plan.cut {
        // Each connection ends in the middle, as if the network were gone.
        for task in there.sessions.lock().unwrap().drain(..) {
            task.abort();
        }
        tokio::time::sleep(Duration::from_secs_f64(plan.hold)).await;
    }
    let paused = snap(cfg.pid);
    let per_paused = (rss(&paused) as f64 - rss(before) as f64) / n;
    let closed = sh.closed.load(Relaxed);
    let j = head(cfg, "idle")
        .f("login_secs", lu.secs)
        .f("logins_per_s", n / lu.secs)
        .f("server_cpu_ms_per_login", lu.server_us / 1e3 / n)
        .f("server_cpu_pct_login", lu.server_us / lu.secs / 1e4)
        .f("gen_cpu_ms_per_login", lu.own_us / 1e3 / n)
        .f("login_p50_ms", lq[0] as f64 / 1e6)
        .f("login_p99_ms", lq[1] as f64 / 1e6)
        .f("other_cpu_pct", lu.other_pct)
        .f("steal_pct", lu.steal_pct)
        .n("rss_before_kib", rss(before))
        .n("rss_logged_in_kib", rss(after))
        .n("rss_after_hold_kib", rss(&end))
        .f("hold_secs", iu.secs)
        .f("kib_per_session", per)
        .n("rss_after_cut_kib", rss(&paused))
        .f("kib_per_session_after_cut", per_paused)
        .f("idle_server_cpu_pct", iu.server_us / iu.secs / 1e4)
        .n("closed", closed)
        .n("errors", sh.errors.load(Relaxed));
    emit(
        cfg,
        j.end(),
        format!(
            "idle {}: {:.0} logins/s, {:.2} ms server CPU per login, {:.1} KiB per session (RSS {} -> {} -> {} MiB), closed {closed}{}",
            cfg.label, n / lu.secs, lu.server_us / 1e3 / n, per,
            rss(before) / 1024, rss(after) / 1024, rss(&end) / 1024,
            if plan.cut { format!("; all cut: {per_paused:.1} KiB per session") } else { String::new() }
        ),
    );
    (closed > 0) as i32
}

/// Waits until nothing arrives for a while, or it has been looked so many times.
pub async fn calm(sh: &Shared, a_while: Duration, times: usize) {
    let mut last = u64::MAX;
    for _ in 0..times {
        let now = sh.stanzas.load(Relaxed);
        if now == last {
            break;
        }
        last = now;
        tokio::time::sleep(a_while).await;
    }
}

/// Waits for the subscriptions that sessions make, until they are complete or stand still for ten seconds.
pub async fn subscriptions(plan: &Plan, sh: &Shared) -> i32 {
    let want = (sh.cfg.users * (plan.contacts / 2) * 2) as u64;
    let t = Instant::now();
    let mut quiet = 0;
    let mut last = 0;
    while sh.subscribed.load(Relaxed) < want && quiet < 20 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = sh.stanzas.load(Relaxed);
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (got, secs) = (sh.subscribed.load(Relaxed), t.elapsed().as_secs_f64());
    emit(
        &sh.cfg,
        head(&sh.cfg, "roster")
            .n("contacts", plan.contacts)
            .n("subscribed", got)
            .n("wanted", want)
            .f("secs", secs)
            .n("errors", sh.errors.load(Relaxed))
            .end(),
        format!("roster: {got} of {want} one-way subscriptions confirmed in {secs:.1} s"),
    );
    (got < want) as i32
}

/// Looks at the traffic, window after window. 1 when there was an error, or nothing arrived.
pub async fn windows(plan: &Plan, sh: &Shared) -> i32 {
    tokio::time::sleep(Duration::from_secs_f64(plan.warmup)).await;
    let mut code = 0;
    for number in 0..plan.windows {
        if !window(plan, sh, number).await {
            eprintln!("first error: {}", sh.err_text.lock().unwrap());
            code = 1;
        }
    }
    code
}

async fn window(plan: &Plan, sh: &Shared, number: usize) -> bool {
    let cfg = &sh.cfg;
    sh.lat.clear();
    let (g0, s0, e0, o0) = (
        sh.got.load(Relaxed),
        sh.sent.load(Relaxed),
        sh.errors.load(Relaxed),
        sh.own_echo.load(Relaxed),
    );
    sh.measuring.store(true, Relaxed);
    let a = snap(cfg.pid);
    tokio::time::sleep(Duration::from_secs_f64(plan.secs)).await;
    let g = sh.got.load(Relaxed) - g0;
    let b = snap(cfg.pid);
    sh.measuring.store(false, Relaxed);
    let u: Used = used(&a, &b);
    let sent = sh.sent.load(Relaxed) - s0;
    let errs = sh.errors.load(Relaxed) - e0;
    let echo = sh.own_echo.load(Relaxed) - o0;
    let q = sh.lat.quantiles(&[0.5, 0.99, 0.999, 1.0]);
    let us = |x: u64| x as f64 / 1e3;
    let name = match plan.kind {
        Kind::Chat => "chat",
        Kind::Presence => "presence",
        _ => "muc",
    };
    let per = u.server_us / g.max(1) as f64;
    let mut j = head(cfg, name).n("window", number).n("inflight", plan.inflight);
    j = match plan.kind {
        Kind::Chat => j.n("bare", sh.bare).f("rate", plan.rate).n("body", sh.body),
        Kind::Presence => j.n("contacts", plan.contacts).n("own_echoes", echo),
        _ => j.n("rooms", plan.rooms).n("occupants", plan.occupants),
    };
    j = j
        .f("secs", u.secs)
        .n("sent", sent)
        .n("delivered", g)
        .f("delivered_per_s", g as f64 / u.secs)
        .f("server_cpu_us_per_delivery", per)
        .f("server_cpu_pct", u.server_us / u.secs / 1e4)
        .f("gen_cpu_us_per_delivery", u.own_us / g.max(1) as f64)
        .f("gen_cpu_pct", u.own_us / u.secs / 1e4)
        .f("p50_us", us(q[0]))
        .f("p99_us", us(q[1]))
        .f("p999_us", us(q[2]))
        .f("max_us", us(q[3]))
        .f("other_cpu_pct", u.other_pct)
        .f("steal_pct", u.steal_pct)
        .n("server_rss_kib", u.rss_kib)
        .n("closed", sh.closed.load(Relaxed))
        .n("errors", errs);
    emit(
        cfg,
        j.end(),
        format!(
            "{name} {}: {:.0} deliveries/s, {:.1} us server CPU each ({:.0} % of a core), p50 {:.1} p99 {:.1} p99.9 {:.1} ms, generator {:.1} us ({:.0} %), other {:.0} %, steal {:.0} %, errors {errs}",
            cfg.label, g as f64 / u.secs, per, u.server_us / u.secs / 1e4,
            us(q[0]) / 1e3, us(q[1]) / 1e3, us(q[2]) / 1e3,
            u.own_us / g.max(1) as f64, u.own_us / u.secs / 1e4, u.other_pct, u.steal_pct
        ),
    );
    errs == 0 && g > 0
}
