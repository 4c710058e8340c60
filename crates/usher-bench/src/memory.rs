//! Memory, as the kernel counts it: an idle server, and what each live session adds.

use crate::Told;
use crate::cores::{Cores, On};
use crate::gate::{By, knock};
use crate::http::Connection;
use crate::load::drive;
use crate::login::Queue;
use crate::start::Starter;
use crate::stock::Stock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The resident size in MB of a server that has served some logins and was then left alone for `rest`.
pub async fn idle(starter: &Starter, cores: &Cores, data: &Path, stock: &Arc<Stock>, rest: Duration) -> Told<f64> {
    let running = starter.ready(cores, data, On::All).await?;
    drive(running.addr, Queue::default().logins(stock, cores.count()), Duration::from_secs(1), None).await?;
    tokio::time::sleep(rest).await;
    let resident = running.resident()?;
    running.end().await?;
    Ok(resident as f64 / 1e6)
}

/// Bytes that a session in memory adds to a server, with everything its first use brings along.
///
/// The first half of the sessions warms the server up: the database's cache grows with first reads and then no more.
pub async fn per_session(starter: &Starter, cores: &Cores, data: &Path, cookies: &[String]) -> Told<f64> {
    let running = starter.ready(cores, data, On::All).await?;
    let mut connection = Connection::open(running.addr).await?;
    let (first, second) = cookies.split_at(cookies.len() / 2);
    let mut resident = [0, 0];
    for (at, half) in [first, second].into_iter().enumerate() {
        for cookie in half {
            let status = connection.exchange(&knock(By::Cookie, cookie)).await?.status;
            if status != 200 {
                return Err(format!("a live cookie is answered with {status}").into());
            }
        }
        resident[at] = running.resident()?;
    }
    running.end().await?;
    Ok(resident[1].saturating_sub(resident[0]) as f64 / second.len().max(1) as f64)
}
