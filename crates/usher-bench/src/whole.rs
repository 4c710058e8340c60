//! Whole files, one after the other on one connection, and readers who stop reading.

use crate::http::{self, Connection};
use crate::process::Running;
use crate::{Told, clock};
use std::time::Duration;

/// How a file came through.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// MiB per second.
    pub rate: f64,
    /// Processor time of the server for a GiB, in seconds.
    pub cpu: f64,
}

/// Fetches the file of `size` bytes at `path` again and again for `length`.
pub async fn fetch(server: &Running, path: &str, size: usize, length: Duration) -> Told<Flow> {
    let (mut connection, request) = (Connection::open(server.target()).await?, http::get(path, ""));
    let (before, begin, mut bytes) = (server.usage()?, clock::now(), 0);
    while clock::now() - begin < length {
        let (status, got) = connection.drain(&request).await?;
        if (status, got) != (200, size) {
            return Err(format!("a whole file is answered with {status} and {got} bytes").into());
        }
        bytes += got;
    }
    let (elapsed, used) = ((clock::now() - begin).as_secs_f64(), server.usage()?.since(&before).as_secs_f64());
    let mib = bytes as f64 / f64::from(1 << 20);
    Ok(Flow { rate: mib / elapsed, cpu: used / (mib / 1024.0) })
}

/// KiB that each of `count` readers adds to a server who ask for the file and take no more than its head.
pub async fn per_slow_reader(server: &Running, path: &str, count: usize) -> Told<f64> {
    let request = http::get(path, "");
    // A first few warm it up: what is made once is not theirs.
    let mut readers = stopped(server, &request, 20).await?;
    let before = server.resident()?;
    readers.extend(stopped(server, &request, count).await?);
    let after = server.resident()?;
    Ok(after.saturating_sub(before) as f64 / 1024.0 / count.max(1) as f64)
}

async fn stopped(server: &Running, request: &[u8], count: usize) -> Told<Vec<Connection>> {
    let mut readers = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(server.target()).await?;
        let (_, status, _) = connection.head(request).await?;
        if status != 200 {
            return Err(format!("a slow reader is answered with {status}").into());
        }
        readers.push(connection);
    }
    // Until everything between the two is full.
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(readers)
}
