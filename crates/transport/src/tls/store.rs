//! All certificates of the server: which one is best for a name, and how they are replaced while it runs.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ClientHello;
use rustls_pki_types::UnixTime;
use tracing::{error, info, warn};

use super::certificate::{Certificate, CertificateFiles, Examined};
use super::files::Stamp;
use super::names::{Coverage, ascii_domain};
use super::problem::{Fault, Item, Moment, Problem, Severity};

/// How often the files are looked at. A look costs two system calls per host.
pub const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// From this long before its end, a certificate that was not renewed is a [`Problem`]: authorities and their
/// tools renew a month ahead.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Tells the time; tests wind it by hand.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

/// The certificates of all hosts, ready to serve. Handshakes read it without a lock; the files are watched,
/// and what changes is swapped in at once for the connections to come.
pub struct Certificates {
    /// What handshakes choose from.
    loaded: ArcSwap<Loaded>,
    /// What reloading compares with.
    slots: Mutex<Vec<Slot>>,
    provider: Arc<CryptoProvider>,
    clock: Clock,
}

/// One generation of certificates.
#[derive(Default)]
struct Loaded {
    /// In the order of the configuration.
    certificates: Vec<Arc<Certificate>>,
    /// All domains that have to be covered, in the same order; the first is the default host.
    names: Vec<String>,
}

/// One host's files, and what came of them.
struct Slot {
    files: CertificateFiles,
    stamps: [Stamp; 2],
    current: Option<Arc<Certificate>>,
    /// Why the files as they are now were not taken.
    refusal: Option<Refusal>,
}

struct Refusal {
    words: Vec<String>,
    said: bool,
}

/// Why the files are read; decides what is said about them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// The caller gets everything to say, and nothing is logged.
    Start,
    /// Everything is read and said anew.
    Request,
    /// Only what changed is read. A fault is said when it is still there at the next look: until then
    /// somebody may be in the middle of replacing two files, one after the other.
    Watch,
}

/// What a look at the files brought.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// Hosts whose certificate is a new one now.
    pub taken: Vec<String>,
    /// What is wrong; a host with an error goes on with what it had.
    pub problems: Vec<Problem>,
}

/// When the certificate that serves a name expires, for `xmpp_tls_certificate_expiry_timestamp_seconds`. All
/// listeners show the same certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// A domain that is served.
    pub name: String,
    /// The last moment of the certificate that a client asking for it gets now.
    pub not_after: UnixTime,
    /// The file of that certificate.
    pub chain: PathBuf,
}

/// Everything that is wrong with these files, as a server starting at `now` would find it.
pub fn examine(files: Vec<CertificateFiles>, now: UnixTime) -> Vec<Problem> {
    Certificates::load_with_clock(files, Arc::new(move || now)).1
}

impl Certificates {
    /// Loads what can be loaded, and says what is wrong with the rest. The first files are the default
    /// host's.
    pub fn load(files: Vec<CertificateFiles>) -> (Arc<Certificates>, Vec<Problem>) {
        Certificates::load_with_clock(files, Arc::new(UnixTime::now))
    }

    /// The same by another clock than the system's.
    pub fn load_with_clock(files: Vec<CertificateFiles>, clock: Clock) -> (Arc<Certificates>, Vec<Problem>) {
        let store = Certificates {
            loaded: ArcSwap::default(),
            slots: Mutex::new(files.into_iter().map(Slot::new).collect()),
            provider: Arc::new(aws_lc_rs::default_provider()),
            clock,
        };
        let problems = store.refresh(&mut store.slots.lock(), Occasion::Start).problems;
        (Arc::new(store), problems)
    }

    /// Reads all files anew, at an operator's request.
    pub fn reload(&self) -> Reloaded {
        self.refresh(&mut self.slots.lock(), Occasion::Request)
    }

    /// Goes on with other files, after the configuration was read anew. A host that keeps its name keeps its
    /// certificate while its new files are of no use.
    pub fn reload_with(&self, files: Vec<CertificateFiles>) -> Reloaded {
        let mut slots = self.slots.lock();
        let mut before = std::mem::take(&mut *slots);
        for files in files {
            let mut slot = Slot::new(files);
            slot.current = before
                .iter_mut()
                .find(|old| old.files.host == slot.files.host)
                .and_then(|old| old.current.take());
            slots.push(slot);
        }
        self.refresh(&mut slots, Occasion::Request)
    }

    /// Reads the files that changed since the last look, and those that were of no use then.
    pub fn check_now(&self) -> Reloaded {
        self.refresh(&mut self.slots.lock(), Occasion::Watch)
    }

    /// Looks at the files every `interval` until nobody else holds the store. Polling, because links that are
    /// pointed elsewhere (certbot, Kubernetes) and network file systems are where notification by the kernel
    /// fails.
    pub async fn watch(self: Arc<Self>, interval: Duration) {
        let store = Arc::downgrade(&self);
        drop(self);
        loop {
            tokio::time::sleep(interval).await;
            let Some(store) = store.upgrade() else { return };
            // A dead network file system may hold the call for long.
            if let Err(failure) = tokio::task::spawn_blocking(move || store.check_now()).await {
                error!(%failure, "looking at the certificate files failed");
            }
        }
    }

    /// The best certificate for a name, as a client that asks for it would get it.
    pub fn best_for(&self, name: &str) -> Option<Arc<Certificate>> {
        self.loaded
            .load()
            .best(name, None, (self.clock)())
            .map(|(_, certificate)| Arc::clone(certificate))
    }

    /// When the certificate of each required name expires; names that no certificate covers are left out.
    pub fn expiry(&self) -> Vec<Expiry> {
        let (loaded, now) = (self.loaded.load(), (self.clock)());
        let expiry = |name: &String| {
            let (_, certificate) = loaded.best(name, None, now)?;
            Some(Expiry {
                name: name.clone(),
                not_after: certificate.not_after(),
                chain: certificate.chain_path().to_owned(),
            })
        };
        loaded.names.iter().filter_map(expiry).collect()
    }

    /// The certificate for a handshake: best for the domain of the stream, else for the name in the
    /// handshake, else for the default host, else any.
    pub(super) fn choose(&self, domain: Option<&str>, hello: &ClientHello<'_>) -> Option<Arc<Certificate>> {
        let (loaded, now) = (self.loaded.load(), (self.clock)());
        let schemes = Some(hello.signature_schemes());
        let default_host = loaded.names.first().map(String::as_str);
        [domain, hello.server_name(), default_host]
            .into_iter()
            .flatten()
            .find_map(|name| {
                loaded
                    .best(name, schemes, now)
                    .map(|(_, certificate)| certificate)
            })
            .or(loaded.certificates.first())
            .cloned()
    }

    pub(super) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn now(&self) -> UnixTime {
        (self.clock)()
    }

    fn refresh(&self, slots: &mut [Slot], occasion: Occasion) -> Reloaded {
        let now = (self.clock)();
        let mut result = Reloaded::default();
        for slot in slots.iter_mut() {
            let changed = slot.look();
            if changed || slot.refusal.is_some() || occasion != Occasion::Watch {
                slot.read(&self.provider, now, occasion, &mut result);
            }
        }
        let loaded = Arc::new(Loaded {
            certificates: slots.iter().filter_map(|slot| slot.current.clone()).collect(),
            names: required_names(slots),
        });
        let mut uncovered = uncovered(slots, &loaded, now, &result.problems);
        uncovered.retain(|problem| occasion != Occasion::Watch || result.taken.contains(&problem.host));
        result.problems.extend(uncovered);
        self.loaded.store(loaded);
        if occasion != Occasion::Start {
            log(&result, slots);
        }
        result
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("names", &self.loaded.load().names)
            .finish_non_exhaustive()
    }
}

impl Loaded {
    /// The best certificate for a name: one that the client can verify and whose time it is, then the one
    /// that names it most exactly, then the newest, then the one that lasts longest.
    fn best(
        &self,
        name: &str,
        schemes: Option<&[SignatureScheme]>,
        now: UnixTime,
    ) -> Option<(Coverage, &Arc<Certificate>)> {
        let name = ascii_domain(name)?;
        let covering = |certificate: &'_ Arc<Certificate>| certificate.names().cover_ascii(&name);
        self.certificates
            .iter()
            .filter_map(|certificate| Some((covering(certificate)?, certificate)))
            .max_by_key(|(coverage, certificate)| {
                let understood = schemes.is_none_or(|schemes| certificate.can_sign(schemes));
                let valid = certificate.is_valid_at(now);
                (
                    understood,
                    valid,
                    *coverage,
                    certificate.not_before(),
                    certificate.not_after(),
                )
            })
    }
}

impl Slot {
    fn new(files: CertificateFiles) -> Slot {
        let stamps = [Stamp::of(&files.chain), Stamp::of(&files.key)];
        Slot {
            files,
            stamps,
            current: None,
            refusal: None,
        }
    }

    /// Whether the files differ from the last look.
    fn look(&mut self) -> bool {
        let stamps = [Stamp::of(&self.files.chain), Stamp::of(&self.files.key)];
        let changed = stamps != self.stamps;
        self.stamps = stamps;
        changed
    }

    fn read(
        &mut self,
        provider: &Arc<CryptoProvider>,
        now: UnixTime,
        occasion: Occasion,
        result: &mut Reloaded,
    ) {
        let examined = Certificate::load(&self.files, provider).and_then(|examined| {
            match self.why_the_old_is_better(&examined.certificate, now) {
                Some(fault) => Err(vec![self.files.problem(Item::Certificate, fault)]),
                None => Ok(examined),
            }
        });
        match examined {
            Ok(examined) => self.take(examined, now, result),
            Err(problems) => self.refuse(problems, occasion, result),
        }
    }

    fn take(&mut self, examined: Examined, now: UnixTime, result: &mut Reloaded) {
        let Examined {
            certificate,
            warnings,
        } = examined;
        self.refusal = None;
        result.problems.extend(warnings);
        result
            .problems
            .extend(time_fault(&certificate, now).map(|fault| self.files.problem(Item::Certificate, fault)));
        if self
            .current
            .as_ref()
            .is_none_or(|current| !current.is_same_chain(&certificate))
        {
            self.current = Some(Arc::new(certificate));
            result.taken.push(self.files.host.clone());
        }
    }

    fn refuse(&mut self, problems: Vec<Problem>, occasion: Occasion, result: &mut Reloaded) {
        let words: Vec<String> = problems.iter().map(Problem::what).collect();
        let known = self.refusal.as_ref().filter(|refusal| refusal.words == words);
        let say = match occasion {
            Occasion::Start | Occasion::Request => true,
            Occasion::Watch => known.is_some_and(|refusal| !refusal.said),
        };
        let said = say || known.is_some_and(|refusal| refusal.said);
        self.refusal = Some(Refusal { words, said });
        if say {
            result.problems.extend(problems);
        }
    }

    /// New files may be in order and yet be a step back: the wrong ones were copied. What serves is kept
    /// then.
    fn why_the_old_is_better(&self, new: &Certificate, now: UnixTime) -> Option<Fault> {
        let old = self.current.as_ref().filter(|old| old.is_valid_at(now))?;
        if !new.is_valid_at(now) {
            return time_fault(new, now);
        }
        let lost = |name: &&String| old.names().cover(name).is_some() && new.names().cover(name).is_none();
        self.files
            .required_names
            .iter()
            .find(lost)
            .map(|name| not_covered(name, new))
    }
}

fn time_fault(certificate: &Certificate, now: UnixTime) -> Option<Fault> {
    let (from, until) = (certificate.not_before(), certificate.not_after());
    let lifetime = Duration::from_secs(until.as_secs().saturating_sub(from.as_secs()));
    let left = Duration::from_secs(until.as_secs().saturating_sub(now.as_secs()));
    if now < from {
        Some(Fault::NotYetValid { from, now })
    } else if now > until {
        Some(Fault::Expired { at: until })
    } else if left < EXPIRES_SOON.min(lifetime / 4) {
        Some(Fault::ExpiresSoon { at: until })
    } else {
        None
    }
}

fn not_covered(name: &str, certificate: &Certificate) -> Fault {
    Fault::NotCovered {
        name: name.to_owned(),
        covered: certificate.names().iter().map(str::to_owned).collect(),
    }
}

/// Every required name once, in the order of the configuration.
fn required_names(slots: &[Slot]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in slots
        .iter()
        .flat_map(|slot| std::iter::once(&slot.files.host).chain(&slot.files.required_names))
    {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Required names that no certificate covers whose time it is. Hosts with an error already are left out: that
/// their names are not covered is its consequence.
fn uncovered(slots: &[Slot], loaded: &Loaded, now: UnixTime, known: &[Problem]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for slot in slots {
        let explained =
            |problem: &Problem| problem.host == slot.files.host && problem.severity() == Severity::Error;
        let Some(certificate) = slot.current.as_ref().filter(|_| !known.iter().any(explained)) else {
            continue;
        };
        for name in &slot.files.required_names {
            let valid = loaded
                .best(name, None, now)
                .is_some_and(|(_, best)| best.is_valid_at(now));
            if !valid {
                problems.push(
                    slot.files
                        .problem(Item::Certificate, not_covered(name, certificate)),
                );
            }
        }
    }
    problems
}

/// One line for each problem and each new certificate.
fn log(result: &Reloaded, slots: &[Slot]) {
    for problem in &result.problems {
        let slot = slots.iter().find(|slot| slot.files.host == problem.host);
        let (host, what, advice) = (&problem.host, problem.what(), problem.advice());
        match problem.severity() {
            Severity::Warning => warn!(
                host,
                problem = what,
                advice,
                "certificate in use, with a reservation"
            ),
            Severity::Error if slot.is_some_and(|slot| slot.current.is_none()) => {
                error!(
                    host,
                    problem = what,
                    advice,
                    "certificate not usable, and none to go on with"
                );
            }
            Severity::Error if slot.is_some_and(|slot| slot.refusal.is_some()) => {
                error!(
                    host,
                    problem = what,
                    advice,
                    "certificate not taken, the previous one stays in use"
                );
            }
            Severity::Error => error!(
                host,
                problem = what,
                advice,
                "certificate in use, though clients will refuse it"
            ),
        }
    }
    for slot in slots
        .iter()
        .filter(|slot| result.taken.contains(&slot.files.host))
    {
        if let Some(certificate) = &slot.current {
            let (host, file) = (&slot.files.host, slot.files.chain.display());
            info!(host, %file, expires = %Moment(certificate.not_after()), "certificate taken");
        }
    }
}
