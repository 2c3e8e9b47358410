//! The section `[limits]`: a name, a default and a stated behaviour for everything that could grow without end.

use std::time::Duration;

use super::amount::{ByteSize, Rate};
use super::location::Network;
use super::schema::section;
use super::sections::MINUTE;
use super::value::OrOff;

section! {
    /// Everything that could grow without end.
    pub struct Limits {
        /// The largest stanza. A larger one ends the stream (`policy-violation`). RFC 6120 §13.12 wants at least 10000 bytes.
        stanza_bytes: ByteSize = ByteSize(256 << 10);
        /// The largest HTTP request of BOSH. A client may put several stanzas into one.
        bosh_body_bytes: ByteSize = ByteSize(512 << 10);
        /// What of the bodies of all HTTP requests may be in memory at the same time; the first 4 KiB of each do not count.
        /// Beyond it a request is refused (503), and its client tries again.
        http_bodies_bytes: ByteSize = ByteSize(32 << 20);
        /// The same for requests from one address.
        http_bodies_bytes_per_address: ByteSize = ByteSize(4 << 20);
        /// How deep elements may lie in each other; deeper ends the stream.
        depth: usize = 64;
        /// Attributes of one element; more end the stream.
        attributes: usize = 64;
        /// The longest name of an element or attribute; a longer one ends the stream.
        name_bytes: ByteSize = ByteSize(512);
        /// Direct children of one stanza; more end the stream.
        children: usize = 4096;

        /// How long a connection may take to log in; then it is closed.
        unauthenticated_time: Duration = Duration::from_secs(30);
        /// The largest element before login, when nothing large has to be said.
        unauthenticated_stanza_bytes: ByteSize = ByteSize(16 << 10);
        /// What a connection may send in all before it has logged in; then it is closed.
        unauthenticated_bytes: ByteSize = ByteSize(64 << 10);
        /// How often a connection is read from on which nobody has logged in, of clients, servers and components; further
        /// octets wait until they are read together. A login takes some ten reads; who has used up all of them with a few octets
        /// each is disconnected. Addresses without limits are read from at once.
        unauthenticated_reads: OrOff<Rate> = OrOff::On(Rate { count: 40, period: Duration::from_secs(20) });
        /// Connections that have not logged in, from everywhere; further ones are closed as they come.
        unauthenticated_connections: usize = 10_000;
        /// All connections; further ones are closed as they come. The server asks the system for as many open files and
        /// says so if it does not get them.
        connections: usize = 100_000;
        /// Connections from one address (IPv6: from one /64); further ones are closed as they come. Think of people who
        /// share one address behind a router.
        connections_per_address: usize = 256;
        /// Failed logins on one stream; then it is closed. RFC 6120 §6.4.5 wants two to five tries after the first.
        login_attempts: usize = 5;
        /// Failed logins from one address; beyond it further connections from there are closed as they come.
        login_attempts_per_address: OrOff<Rate> = OrOff::On(Rate { count: 30, period: MINUTE });
        /// New accounts by in-band registration from one address; beyond it registration is refused.
        registrations_per_address: OrOff<Rate> = OrOff::On(Rate { count: 3, period: Duration::from_secs(3600) });

        /// Bytes that wait for one client: not yet written to its connection, or not yet acknowledged by it. Beyond it a
        /// client that does not read is disconnected (`resource-constraint`) and what can be kept is kept.
        mailbox_bytes: ByteSize = ByteSize(4 << 20);
        /// Stanzas that wait for one client, likewise.
        mailbox_stanzas: usize = 10_000;
        /// Stanzas that a client may leave unacknowledged (XEP-0198); beyond it the stream is closed and cannot be resumed.
        unacknowledged_stanzas: usize = 2_000;
        /// Stanzas that wait until one account, room or link has time for them; further ones are returned to their sender
        /// (`resource-constraint`).
        inbox_stanzas: usize = 2_000;
        /// Bytes of such stanzas, likewise.
        inbox_bytes: ByteSize = ByteSize(4 << 20);
        /// Bytes of answers and deliveries of one account or room that wait for the disk; beyond it, it takes nothing in.
        uncommitted_bytes: ByteSize = ByteSize(1 << 20);
        /// Stanzas for one account that are kept on disk because their delivery is not certain yet; beyond it further ones
        /// are returned to their sender (`resource-constraint`) while the client is away, and acknowledged when they have
        /// arrived while it is there.
        outstanding_stanzas: usize = 10_000;

        /// Memory for accounts at which nobody is at home, so that what comes for them need not be looked up on disk each
        /// time; beyond it those leave memory that have rested longest. An eighth of it is for addresses that have no account,
        /// so that the time that an answer takes does not tell which have one.
        resting_bytes: ByteSize = ByteSize(16 << 20);

        /// Contacts of one account; adding more is refused (`policy-violation`).
        roster_items: usize = 5_000;
        /// Clients of one account at the same time; a further login is refused (`resource-constraint`).
        resources_per_account: usize = 20;
        /// Messages kept for an account that is away; further ones are returned to their sender. 0 keeps none.
        offline_messages: usize = 1_000;
        /// Bytes of such messages, likewise.
        offline_bytes: ByteSize = ByteSize(4 << 20);
        /// The largest vCard, picture included; a larger one is refused.
        vcard_bytes: ByteSize = ByteSize(128 << 10);
        /// Private data of one account (XEP-0049), all together; more is refused.
        private_bytes: ByteSize = ByteSize(512 << 10);
        /// Privacy lists of one account (XEP-0016); more are refused.
        privacy_lists: usize = 20;
        /// Entries of one privacy list, and blocked addresses (XEP-0191); more are refused.
        privacy_items: usize = 2_000;
        /// Addresses outside the roster to which one client has sent its presence; further ones are refused.
        directed_presences: usize = 1_000;
        /// Subscription requests that one user may send to people who are no contacts; further ones are returned.
        stranger_subscriptions: OrOff<Rate> = OrOff::On(Rate { count: 10, period: Duration::from_secs(3600) });
        /// Messages that one user may send to people who are no contacts; further ones are returned.
        stranger_messages: OrOff<Rate> = OrOff::On(Rate { count: 60, period: MINUTE });
        /// Subscription requests that one user may get from people who are no contacts, from all of them together; further
        /// ones are dropped.
        subscriptions_from_strangers: OrOff<Rate> = OrOff::On(Rate { count: 60, period: Duration::from_secs(3600) });
        /// Messages that one user may get from people who are no contacts, from all of them together; further ones are
        /// returned as if nobody were there.
        messages_from_strangers: OrOff<Rate> = OrOff::On(Rate { count: 240, period: MINUTE });

        /// Connections from other servers; further ones are closed as they come.
        s2s_connections: usize = 10_000;
        /// Connections from other servers on which no domain has been authenticated; further ones are closed as they come.
        s2s_unauthenticated_connections: usize = 1_000;
        /// Connections from other servers from one address (IPv6: from one /64); further ones are closed as they come. Think
        /// of a server of many domains that opens one for each.
        s2s_connections_per_address: usize = 128;
        /// Those of them on which no domain has been authenticated.
        s2s_unauthenticated_per_address: usize = 32;
        /// New connections of other servers from one address; beyond it further ones are closed as they come.
        s2s_arrivals_per_address: OrOff<Rate> = OrOff::On(Rate { count: 240, period: MINUTE });
        /// Connections of other servers from one address on which nobody was authenticated before they ended; beyond it
        /// further ones are closed as they come.
        s2s_failures_per_address: OrOff<Rate> = OrOff::On(Rate { count: 120, period: MINUTE });
        /// Domain pairs on one connection (XEP-0220 multiplexing); more are refused.
        s2s_pairs_per_stream: usize = 100;
        /// Stanzas and other elements from one address of other servers, on all its connections; each 4 KiB count for one more.
        /// Beyond it these connections are read more slowly. Where one address has no limits, it holds for one connection.
        s2s_stanzas: OrOff<Rate> = OrOff::On(Rate { count: 2_000, period: Duration::from_secs(1) });
        /// Bytes of unfinished stanzas on all connections of one address of other servers; the connection that brings more is
        /// closed (`resource-constraint`). Where one address has no limits, it holds for one connection.
        s2s_unfinished_bytes: ByteSize = ByteSize(4 << 20);
        /// Connections that other servers can make this one open, all of them together: for dialback, for answers and
        /// questions about capabilities, to see whether a domain is still there. Beyond it none is opened: dialback fails,
        /// answers are dropped.
        s2s_provoked_connections: OrOff<Rate> = OrOff::On(Rate { count: 240, period: MINUTE });
        /// Questions of dialback that one address can make this server ask others; beyond it dialback fails at once.
        s2s_provoked_per_address: OrOff<Rate> = OrOff::On(Rate { count: 30, period: MINUTE });
        /// Bytes of answers and errors that wait for one remote domain; further ones are dropped, because who does not read
        /// answers does not miss them. While no connection leads there, an eighth of it.
        s2s_answers_bytes: ByteSize = ByteSize(256 << 10);
        /// Messages that wait for one remote domain; further ones are returned to their sender.
        s2s_queue_stanzas: usize = 10_000;
        /// Bytes of such messages, likewise.
        s2s_queue_bytes: ByteSize = ByteSize(8 << 20);

        /// Rooms that one user may have made; to make more is refused (`not-allowed`).
        rooms_per_account: usize = 20;
        /// Rooms that the list of a service shows; more exist, but are not listed.
        rooms_listed: usize = 1_000;
        /// Occupants of one room; further ones are turned away (`service-unavailable`).
        room_occupants: usize = 5_000;
        /// Messages of one occupant in one room, with its changes of presence and nick, invitations, requests for voice and registration;
        /// beyond it they are returned.
        room_messages: OrOff<Rate> = OrOff::On(Rate { count: 30, period: Duration::from_secs(10) });
        /// Messages that a room keeps for those who come later.
        room_history: usize = 100;

        /// Pokes that wait for an answer, all together; further ones count as unanswered at once.
        pokes_in_flight: usize = 10_000;
        /// Annotations of presence to one client, in ten steps; beyond it they wait, and only the newest about each contact is
        /// sent.
        annotations: OrOff<Rate> = OrOff::On(Rate { count: 200, period: Duration::from_secs(1) });
        /// Verified client capabilities that are remembered (XEP-0115, XEP-0390); the oldest make room.
        capabilities: usize = 10_000;

        /// Addresses and blocks of addresses without per-address limits. A trusted proxy does not hand its exemption on to
        /// those behind it.
        exempt: Vec<Network> = Vec::new();
    }
}
