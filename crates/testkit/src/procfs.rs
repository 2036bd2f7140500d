//! What the Linux kernel says about a process in `/proc` (proc(5)): processor time, memory, sockets.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// `/proc` counts processor time in units of `USER_HZ`, which is 100 on every Linux that Rust's standard
/// library supports.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process with all its threads, user and system together, to 10 ms.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may hold anything.
    let after_name = stat.rsplit_once(')').map(|(_, rest)| rest);
    let fields: Vec<&str> = after_name.unwrap_or_default().split_whitespace().collect();
    // Fields 14 (utime) and 15 (stime) of the line, counted from 1; `fields` begins with the third.
    let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok(TICK * (user + system)),
        _ => Err(io::Error::other("/proc/PID/stat is not as proc(5) says")),
    }
}

/// Resident memory of a process in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub resident_kib: u64,
    /// The most it ever was (`VmHWM`).
    pub peak_kib: u64,
}

/// Resident memory of a process.
///
/// # Errors
/// When the process is gone.
pub fn memory(pid: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    match (field("VmRSS"), field("VmHWM")) {
        (Some(resident_kib), Some(peak_kib)) => Ok(Memory { resident_kib, peak_kib }),
        // A process that has ended but was not waited for has no memory lines.
        _ => Err(io::Error::other("the process has ended")),
    }
}

/// How many threads a process has.
///
/// # Errors
/// When the process is gone.
pub fn threads(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}

/// One internet socket of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// `tcp`, `tcp6`, `udp` or `udp6`.
    pub protocol: &'static str,
    /// This end.
    pub local: SocketAddr,
    /// The other end; port 0 when there is none.
    pub remote: SocketAddr,
    /// Whether it waits for connections.
    pub listening: bool,
}

/// The internet sockets that a process holds. Sockets of the Unix family are not among them.
///
/// # Errors
/// When the process is gone or belongs to someone else.
pub fn sockets(pid: u32) -> io::Result<Vec<Socket>> {
    let mut inodes = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // A descriptor may be closed while the directory is read.
        let Ok(target) = fs::read_link(entry?.path()) else {
            continue;
        };
        let target = target.to_string_lossy();
        if let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'))
        {
            inodes.insert(inode.to_owned());
        }
    }
    let mut sockets = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        // Absent where the kernel has no IPv6.
        let Ok(table) = fs::read_to_string(format!("/proc/{pid}/net/{protocol}")) else {
            continue;
        };
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, state, ..] = fields[..] else {
                continue;
            };
            if !fields.get(9).is_some_and(|inode| inodes.contains(*inode)) {
                continue;
            }
            let (Some(local), Some(remote)) = (endpoint(local), endpoint(remote)) else {
                continue;
            };
            sockets.push(Socket { protocol, local, remote, listening: state == "0A" });
        }
    }
    Ok(sockets)
}

/// Reads `0100007F:1F90`: the address as 32-bit words in the machine's byte order, then the port.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for start in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address = if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        IpAddr::from(Ipv4Addr::from(four))
    } else {
        IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?))
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_in_the_machines_byte_order() {
        let four = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(endpoint(&format!("{four:08X}:1F90")), Some("127.0.0.1:8080".parse().unwrap()));
        let last = u32::from_ne_bytes([0, 0, 0, 1]);
        assert_eq!(
            endpoint(&format!("{:024X}{last:08X}:0050", 0)),
            Some("[::1]:80".parse().unwrap())
        );
        assert_eq!(endpoint("7F:50"), None);
    }

    #[test]
    fn this_process_has_memory_threads_and_processor_time() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.resident_kib > 0);
        assert!(memory.peak_kib >= memory.resident_kib);
        assert!(threads(pid).unwrap() >= 1);
        assert!(cpu_time(pid).is_ok());
    }

    #[test]
    fn a_listening_socket_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = sockets(std::process::id()).unwrap();
        assert!(found.iter().any(|socket| socket.local == address && socket.listening));
    }
}
