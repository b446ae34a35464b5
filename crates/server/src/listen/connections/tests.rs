use std::io::Write;

use super::*;

/// What is logged meanwhile.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_flood_of_connections_is_counted_and_told_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    tracing::subscriber::with_default(subscriber.finish(), || {
        let limits = Limits {
            max_connections: 1,
            ..Limits::default()
        };
        let connections = Connections::new("listen.http[0]".to_owned(), &limits);
        let place = connections.place(None);
        assert!(place.is_some());
        for _ in 0..1000 {
            assert!(connections.place(None).is_none());
        }
        assert_eq!(connections.load().closed, 1000);
    });
    let log = String::from_utf8(log.0.lock().expect("the log").clone()).expect("text");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("limits.max_connections"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(
        lines[0].contains("WARN") && lines[0].contains("`listen.http[0]`"),
        "{log}"
    );
}
