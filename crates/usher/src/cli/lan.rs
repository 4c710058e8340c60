//! The addresses at which others in the house reach this machine.

use crate::net::is_private;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The private addresses of this machine that others can reach, IPv4 first. Empty where the system does not tell.
pub fn addresses() -> Vec<IpAddr> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let four = local_addresses(&read("/proc/net/fib_trie")).into_iter().map(IpAddr::V4);
    let six = interface_addresses(&read("/proc/net/if_inet6")).into_iter().map(IpAddr::V6);
    let mut found: Vec<IpAddr> = four.chain(six).filter(|ip| is_private(*ip) && !ip.is_loopback()).collect();
    // An address of the link alone needs the name of an interface in every URL; browsers do not take one.
    found.retain(|ip| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
    let mut unique = Vec::new();
    found.into_iter().for_each(|ip| {
        if !unique.contains(&ip) {
            unique.push(ip);
        }
    });
    unique
}

/// The kernel's routing tree: an address of our own is a leaf whose next line says `/32 host LOCAL`.
fn local_addresses(tree: &str) -> Vec<Ipv4Addr> {
    let lines: Vec<&str> = tree.lines().map(str::trim).collect();
    let leaves = lines.windows(2).filter(|pair| pair[1].starts_with("/32 host LOCAL"));
    leaves.filter_map(|pair| pair[0].strip_prefix("|-- ")?.parse().ok()).collect()
}

/// The kernel's list: 32 digits first, the interface's name last.
fn interface_addresses(list: &str) -> Vec<Ipv6Addr> {
    let digits = list.lines().filter_map(|line| line.split_whitespace().next());
    digits.filter_map(|digits| u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_own_addresses_are_read_from_the_kernel_s_tables() {
        let tree = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.168.1.0\n        /24 link UNICAST\n     |-- 192.168.1.7\n        /32 host LOCAL\n     |-- 192.168.1.255\n        /32 link BROADCAST\n";
        assert_eq!(local_addresses(tree), [Ipv4Addr::new(192, 168, 1, 7)]);
        let list = "fd000000000000000000000000000001 02 40 00 80     eth0\nnonsense\n";
        assert_eq!(
            interface_addresses(list),
            ["fd00::1".parse::<Ipv6Addr>()].map(|ip| ip.unwrap_or(Ipv6Addr::LOCALHOST))
        );
    }
}
