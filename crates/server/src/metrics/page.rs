//! Writes families of metrics, one after the other, as prometheus-client wants them.

use std::fmt::Error;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, LabelSetEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use super::count::Histogram;

/// The labels of a series, by name.
pub(super) type Labels<'l, const N: usize> = [(&'static str, &'l str); N];

/// Where families are written to. A family without any series is left out.
#[derive(Debug)]
pub(super) struct Page<'e>(pub(super) DescriptorEncoder<'e>);

impl Page<'_> {
    /// Counters by labels. The name is without `_total`.
    pub(super) fn counters<'l, const N: usize, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> Result<(), Error> {
        self.family(name, help, MetricType::Counter, series, |encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        self.counters(name, help, [([], value)])
    }

    /// Gauges by labels.
    pub(super) fn gauges<'l, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l, N>, V)>,
    ) -> Result<(), Error> {
        self.family(name, help, MetricType::Gauge, series, |encoder, value| {
            encoder.encode_gauge(&value)
        })
    }

    /// A gauge without labels.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue,
    ) -> Result<(), Error> {
        self.gauges(name, help, [([], value)])
    }

    /// Histograms of seconds by one label.
    pub(super) fn histograms<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels<'l, 1>, Histogram)>,
    ) -> Result<(), Error> {
        self.family(name, help, MetricType::Histogram, series, |encoder, times| {
            encoder.encode_histogram::<NoLabelSet>(times.seconds(), times.count(), &times.buckets(), None)
        })
    }

    fn family<'l, const N: usize, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        series: impl IntoIterator<Item = (Labels<'l, N>, V)>,
        mut encode: impl FnMut(&mut MetricEncoder<'_>, V) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in series {
            if N == 0 {
                encode(&mut family, value)?;
            } else {
                encode(&mut family.encode_family(&Set(&labels))?, value)?;
            }
        }
        Ok(())
    }
}

/// Labels as a set.
struct Set<'l>(&'l [(&'static str, &'l str)]);

impl EncodeLabelSet for Set<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), Error> {
        self.0.encode(encoder)
    }
}
