//! The last records, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use decide::{Record, Recorder};
use serde_json::Value;

use super::line::{Clock, Line};
use super::pack::{Purpose, pack};
use super::parts::{Parts, Taken};
use super::settings::QueryMask;

/// More than anybody looks at.
const KEPT: usize = 1000;

/// Keeps the last records in memory, as the JSON objects that a sink would get: for `check`, the demo and tests.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<VecDeque<Value>>>);

impl Memory {
    /// The record of a decision.
    pub fn find(&self, decision_id: &str) -> Option<Value> {
        let records = self.0.lock().ok()?;
        let mut records = records.iter();
        records
            .find(|record| record["decision_id"] == decision_id)
            .cloned()
    }

    /// The latest record.
    pub fn last(&self) -> Option<Value> {
        self.0.lock().ok()?.back().cloned()
    }
}

impl Recorder for Memory {
    fn offer(&self, record: &Record<'_, '_>) {
        let mut packed = Parts::default();
        pack(record, Purpose::Log, QueryMask::Drop, &mut packed);
        let line = Line::unpack(Taken::of(&packed), &mut Clock::default());
        let line = line.and_then(|line| serde_json::to_value(line).ok());
        if let (Some(line), Ok(mut records)) = (line, self.0.lock()) {
            records.push_back(line);
            if records.len() > KEPT {
                records.pop_front();
            }
        }
    }
}
