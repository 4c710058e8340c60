//! Many at once, for rules of which exactly one may win.

use std::future::Future;

/// Runs `count` of the futures that `make` gives at the same time, and waits for all of them.
pub async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    make: impl Fn(usize) -> F,
) -> Vec<T> {
    let running: Vec<_> = (0..count).map(|number| tokio::spawn(make(number))).collect();
    let mut answers = Vec::with_capacity(count);
    for one in running {
        answers.push(one.await.unwrap());
    }
    answers
}
