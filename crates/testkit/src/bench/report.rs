//! The tables: every figure through a server beside the direct one of the same run.

use std::fmt::Write as _;

use super::latency::{Row, Way};
use super::presence::Presence;
use super::statistics::Percentiles;

/// The latency rows of one kind of turn and one pace, for all numbers of connections.
pub(super) fn latency_table(rows: &[Row]) -> String {
    let mut table = String::new();
    let Some(head) = rows.first() else {
        return table;
    };
    let pace = head.rate.map_or("as fast as answers come".to_owned(), |rate| {
        format!("{rate} turns a second in all")
    });
    let streamed = head.kind.starts_with("streamed");
    let _ = writeln!(table, "\n{}; {pace}. Milliseconds; + is added over direct.", head.kind);
    let title = |name: &str| format!("{:>8} {:>8} {:>8}", format!("{name} p50"), "p95", "p99");
    let _ = write!(table, "{:>6} {:<9} {}", "conns", "way", title("all"));
    if streamed {
        let _ = write!(table, "  {}", title("first"));
    }
    let _ = writeln!(
        table,
        " {:>9} {:>9} {:>7} {:>8} {:>8}",
        "turns/s", "CPU/turn", "events", "RSS MiB", "turns"
    );
    for group in rows.chunk_by(|one, other| one.connections == other.connections) {
        let direct = group.iter().find(|row| row.way == Way::Direct && row.fault.is_none());
        for row in group {
            let _ = write!(table, "{:>6} {:<9} ", row.connections, name(row.way));
            if let Some(fault) = &row.fault {
                let _ = writeln!(table, "not shown: {fault}");
                continue;
            }
            let _ = write!(table, "{}", three(&row.total, ""));
            if streamed {
                let _ = write!(table, "  {}", three(&row.first, ""));
            }
            let _ = writeln!(
                table,
                " {:>9.0} {:>9} {:>7.1} {:>8} {:>8}",
                row.turns_per_second,
                row.cpu_ms_per_turn.map_or("-".to_owned(), |cpu| format!("{cpu:.3}")),
                row.events_per_answer,
                row.resident_mib.map_or("-".to_owned(), |mib| format!("{mib:.1}")),
                row.turns,
            );
            if let (Some(direct), true) = (direct, row.way != Way::Direct) {
                let _ = write!(table, "{:>6} {:<9} ", "", "");
                let _ = write!(table, "{}", three(&row.total.over(&direct.total), "+"));
                if streamed {
                    let _ = write!(table, "  {}", three(&row.first.over(&direct.first), "+"));
                }
                let ratio = row.total.p50 / direct.total.p50;
                let _ = writeln!(table, "   {ratio:.1} x direct at p50");
            }
        }
    }
    table
}

/// Whether first texts cluster where a delayed ACK would put them.
pub(super) fn nagle_line(rows: &[Row]) -> String {
    // With more connections, 40 ms can be plain queueing.
    let alone = |row: &&Row| row.connections == 1 && row.fault.is_none();
    let counts = [Way::Direct, Way::Relay, Way::Bartizan].into_iter().filter_map(|way| {
        let of_way = || rows.iter().filter(alone).filter(|row| row.way == way);
        let near: u64 = of_way().map(|row| row.near_40_ms).sum();
        let all: u64 = of_way().map(|row| row.turns).sum();
        (all > 0).then(|| format!("{} {near} of {all}", name(way)))
    });
    let counts: Vec<String> = counts.collect();
    if counts.is_empty() {
        return String::new();
    }
    format!(
        "\nFirst texts between 38 and 48 ms, at one connection: {}. More than a few in a thousand \
         would be Nagle's algorithm against delayed ACKs.\n",
        counts.join(", ")
    )
}

/// Start and memory.
pub(super) fn presence_table(rows: &[Presence]) -> String {
    let mut table = String::from("\nStart to ready, memory at rest, memory with streams open.\n");
    let _ = writeln!(
        table,
        "{:<9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>14} {:>9}",
        "server",
        "ready ms",
        "fastest",
        "slowest",
        "idle MiB",
        "streams",
        "streaming MiB",
        "peak MiB"
    );
    for row in rows {
        let sorted = || row.ready_ms.iter().copied();
        let _ = write!(
            table,
            "{:<9} {:>9.1} {:>9.1} {:>9.1} {:>9.1} ",
            row.server,
            row.ready_median_ms(),
            sorted().fold(f64::INFINITY, f64::min),
            sorted().fold(0.0, f64::max),
            row.idle_mib,
        );
        let _ = match &row.fault {
            Some(fault) => writeln!(table, "streams not shown: {fault}"),
            None => writeln!(
                table,
                "{:>8} {:>14.1} {:>9.1}",
                row.streams, row.streaming_mib, row.streaming_peak_mib
            ),
        };
    }
    table
}

fn name(way: Way) -> &'static str {
    match way {
        Way::Direct => "direct",
        Way::Relay => "relay",
        Way::Bartizan => "bartizan",
    }
}

fn three(percentiles: &Percentiles, sign: &str) -> String {
    let figure = |value: f64| match sign {
        "" => format!("{value:.3}"),
        _ => format!("{value:+.3}"),
    };
    let Percentiles { p50, p95, p99 } = percentiles;
    format!("{:>8} {:>8} {:>8}", figure(*p50), figure(*p95), figure(*p99))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(way: Way, p50: f64, fault: Option<&str>) -> Row {
        let percentiles = Percentiles { p50, p95: p50, p99: p50 };
        Row {
            kind: "streamed".to_owned(),
            connections: 1,
            rate: None,
            way,
            total: percentiles,
            first: percentiles,
            turns_per_second: 10.0,
            cpu_ms_per_turn: None,
            turns: 10,
            events_per_answer: 20.0,
            near_40_ms: 0,
            resident_mib: None,
            repeats: Vec::new(),
            fault: fault.map(str::to_owned),
        }
    }

    #[test]
    fn a_row_shows_what_it_adds_to_the_direct_one() {
        let table = latency_table(&[row(Way::Direct, 0.2, None), row(Way::Bartizan, 0.5, None)]);
        assert!(table.contains("+0.300"), "{table}");
        assert!(table.contains("2.5 x direct"), "{table}");
    }

    #[test]
    fn a_faulty_row_shows_its_fault_and_no_figure() {
        let rows = [row(Way::Direct, 0.2, None), row(Way::Bartizan, 0.777, Some("3 of 9 failed"))];
        let table = latency_table(&rows);
        assert!(table.contains("not shown: 3 of 9 failed"), "{table}");
        assert!(!table.contains("0.777"), "{table}");
    }
}
