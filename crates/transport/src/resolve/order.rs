//! In which order servers and addresses are tried.

use std::net::IpAddr;

use s2s::explain::Service;

/// Gives a number below its argument.
pub(crate) type Dice<'a> = dyn FnMut(u32) -> u32 + Send + 'a;

/// Records of both kinds as if they were one (XEP-0368 §3): by priority, and by chance among those of the same one, by
/// weight (RFC 2782).
pub(super) fn in_order(mut services: Vec<Service>, dice: &mut Dice<'_>) -> Vec<Service> {
    services.sort_by_key(|service| service.priority);
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let same = services.partition_point(|service| service.priority == priority);
        let mut group: Vec<Service> = services.drain(..same).collect();
        // Those without weight come first, so that they have their small chance.
        group.sort_by_key(|service| service.weight);
        while !group.is_empty() {
            let sum: u32 = group.iter().map(|service| u32::from(service.weight)).sum();
            let drawn = dice(sum + 1);
            let mut running = 0;
            let chosen = group.iter().position(|service| {
                running += u32::from(service.weight);
                running >= drawn
            });
            ordered.push(group.remove(chosen.unwrap_or(0)));
        }
    }
    ordered
}

/// The families alternate, IPv6 first (RFC 8305 §4).
pub(super) fn families_in_turn(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut six = addresses.iter().filter(|address| address.is_ipv6());
    let mut four = addresses.iter().filter(|address| address.is_ipv4());
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let pair = [six.next(), four.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use s2s::Transport;

    use super::*;

    fn service(target: &str, priority: u16, weight: u16) -> Service {
        Service {
            transport: Transport::Tcp,
            priority,
            weight,
            target: target.to_owned(),
            port: 5269,
        }
    }

    fn names(services: &[Service]) -> Vec<&str> {
        services.iter().map(|service| service.target.as_str()).collect()
    }

    #[test]
    fn rfc2782_lower_priorities_come_first_whatever_their_weight() {
        let services = vec![service("c", 20, 100), service("a", 5, 0), service("b", 10, 1)];
        let ordered = in_order(services, &mut |_| 0);
        assert_eq!(names(&ordered), ["a", "b", "c"]);
    }

    #[test]
    fn rfc2782_among_equals_the_weight_is_the_share() {
        let services = || {
            vec![
                service("small", 5, 10),
                service("none", 5, 0),
                service("big", 5, 90),
            ]
        };
        for (drawn, first) in [
            (0, "none"),
            (1, "small"),
            (10, "small"),
            (11, "big"),
            (100, "big"),
        ] {
            let mut first_draw = Some(drawn);
            let ordered = in_order(services(), &mut |below| {
                assert!(first_draw.is_none() || below == 101);
                first_draw.take().unwrap_or(0)
            });
            assert_eq!(ordered[0].target, first, "drawn {drawn}");
            assert_eq!(ordered.len(), 3);
        }
    }

    #[test]
    fn rfc8305_4_families_take_turns_and_nobody_is_lost() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let ordered = families_in_turn(&[
            ip("192.0.2.1"),
            ip("192.0.2.2"),
            ip("192.0.2.3"),
            ip("2001:db8::1"),
        ]);
        assert_eq!(
            ordered,
            [
                ip("2001:db8::1"),
                ip("192.0.2.1"),
                ip("192.0.2.2"),
                ip("192.0.2.3")
            ]
        );
    }
}
