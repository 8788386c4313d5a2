//! Histograms against sorted samples: percentiles, merging, scales, and the form on the wire.

use plimsoll_measure::{Histogram, HistogramError, HistogramParts, Percentile, rank};
use proptest::prelude::*;

fn of(samples: &[u64]) -> Histogram {
    let mut histogram = Histogram::new();
    samples.iter().for_each(|nanos| histogram.record(*nanos));
    histogram
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![1 => 0..200u64, 4 => 1_000..5_000_000_000u64, 1 => any::<u64>()]
}

#[test]
fn ranks_are_nearest_ranks() {
    assert_eq!(rank(9_500, 20), 19);
    assert_eq!(rank(9_500, 21), 20);
    assert_eq!(rank(9_990, 1_000), 999);
    assert_eq!(rank(9_990, 1_001), 1_000);
    assert_eq!(rank(5_000, 1), 1);
    assert_eq!(rank(0, 5), 1);
    assert_eq!(rank(10_000, u64::MAX), u64::MAX);
}

#[test]
fn incomplete_requests_rank_over_all_others() {
    let histogram = of(&[10_000_000; 18]);
    assert_eq!(histogram.percentile(9_000, 2), Percentile::Finite(10_000_000));
    assert_eq!(histogram.percentile(9_500, 2), Percentile::OverMax);
    assert_eq!(histogram.percentile(9_500, 0), Percentile::Finite(10_000_000));
    assert_eq!(Histogram::new().percentile(9_500, 0), Percentile::NoData);
    assert_eq!(Histogram::new().percentile(1, 1), Percentile::OverMax);
}

#[test]
fn a_shown_percentile_stays_on_its_side_of_the_bound() {
    assert_eq!(Percentile::Finite(501).clamped(500, true), Percentile::Finite(500));
    assert_eq!(Percentile::Finite(499).clamped(500, false), Percentile::Finite(501));
    assert_eq!(Percentile::Finite(499).clamped(500, true), Percentile::Finite(499));
    assert_eq!(Percentile::Finite(501).clamped(500, false), Percentile::Finite(501));
    assert_eq!(Percentile::OverMax.clamped(500, true), Percentile::Finite(500));
    assert_eq!(Percentile::OverMax.clamped(500, false), Percentile::OverMax);
    assert_eq!(Percentile::NoData.clamped(500, false), Percentile::NoData);
}

#[test]
fn zero_is_counted_without_a_bucket() {
    let histogram = of(&[0, 0, 0, 7]);
    assert_eq!((histogram.count(), histogram.zero(), histogram.buckets().count()), (4, 3, 1));
    assert_eq!(histogram.percentile(5_000, 0), Percentile::Finite(0));
    assert_eq!(histogram.min(), Some(0));
    assert_eq!(histogram.max(), Some(7));
}

#[test]
fn empty_histograms_serialise_to_nothing() {
    assert_eq!(serde_json::to_string(&Histogram::at_scale(3)).unwrap(), "{}");
    assert_eq!(serde_json::from_str::<Histogram>("{}").unwrap(), Histogram::new());
}

#[test]
fn impossible_numbers_are_refused() {
    let good = of(&[5, 1_000, 1_000_000]).to_parts();
    let refused = |change: &dyn Fn(&mut HistogramParts)| {
        let mut parts = good.clone();
        change(&mut parts);
        Histogram::from_parts(&parts).unwrap_err()
    };
    assert_eq!(refused(&|p| p.shift = 9), HistogramError::Scale(9));
    assert_eq!(refused(&|p| p.buckets[0] = 8_731), HistogramError::Buckets);
    assert_eq!(refused(&|p| p.buckets[2] = 0), HistogramError::Buckets);
    assert_eq!(refused(&|p| p.buckets[2] = i64::MAX), HistogramError::Buckets);
    assert_eq!(refused(&|p| p.buckets[1] = -1), HistogramError::Buckets);
    assert_eq!(refused(&|p| p.buckets.truncate(3)), HistogramError::Buckets);
    assert_eq!(refused(&|p| (p.min, p.max) = (p.max, p.min)), HistogramError::Totals);
    assert_eq!(refused(&|p| p.sum_high = 1), HistogramError::Totals);
    assert_eq!(refused(&|p| p.zero = u64::MAX), HistogramError::Totals);
    assert_eq!(refused(&|p| p.buckets.clear()), HistogramError::Totals);
}

proptest! {
    #[test]
    fn percentiles_are_those_of_the_sorted_samples(
        mut samples in prop::collection::vec(nanos(), 1..300),
        incomplete in 0..20u64,
        q in 1..=10_000u32,
    ) {
        let histogram = of(&samples);
        samples.sort_unstable();
        let n = samples.len() as u64 + incomplete;
        let at = (n * u64::from(q)).div_ceil(10_000) as usize - 1;
        match (histogram.percentile(q, incomplete), samples.get(at)) {
            (Percentile::OverMax, None) => {}
            (Percentile::Finite(shown), Some(exact)) => {
                let error = shown.abs_diff(*exact) as f64;
                prop_assert!(error <= 0.0014 * *exact as f64, "{shown} shown for {exact}");
            }
            (shown, exact) => prop_assert!(false, "{shown:?} shown for {exact:?}"),
        }
        prop_assert_eq!(histogram.sum(), samples.iter().map(|n| u128::from(*n)).sum::<u128>());
        prop_assert_eq!((histogram.min(), histogram.max()), (samples.first().copied(), samples.last().copied()));
    }

    #[test]
    fn merging_is_addition(a in prop::collection::vec(nanos(), 0..60), b in prop::collection::vec(nanos(), 0..60)) {
        let all = of(&[a.clone(), b.clone()].concat());
        let (mut ab, mut ba) = (of(&a), of(&b));
        ab.merge(&of(&b));
        ba.merge(&of(&a));
        prop_assert_eq!(&ab, &all);
        prop_assert_eq!(&ba, &all);
        let mut mixed = of(&a).downscale(3);
        mixed.merge(&of(&b));
        let mut mixed_the_other_way = of(&b);
        mixed_the_other_way.merge(&of(&a).downscale(3));
        prop_assert_eq!(&mixed, &mixed_the_other_way);
        if !a.is_empty() {
            prop_assert_eq!(&mixed, &all.downscale(3));
        }
    }

    #[test]
    fn downscaling_is_recording_coarsely(samples in prop::collection::vec(nanos(), 1..60), scale in 0..=8) {
        let mut coarse = Histogram::at_scale(scale);
        samples.iter().for_each(|nanos| coarse.record(*nanos));
        prop_assert_eq!(coarse.scale(), scale);
        prop_assert_eq!(of(&samples).downscale(scale), coarse);
    }

    #[test]
    fn taking_leaves_nothing_behind(a in prop::collection::vec(nanos(), 0..60), b in prop::collection::vec(nanos(), 0..60)) {
        let mut histogram = of(&a);
        prop_assert_eq!(histogram.take(), of(&a));
        prop_assert!(histogram.is_empty() && histogram == Histogram::new());
        b.iter().for_each(|nanos| histogram.record(*nanos));
        prop_assert_eq!(&histogram, &of(&b));
        prop_assert_eq!(histogram.take(), of(&b));
    }

    #[test]
    fn the_wire_keeps_everything(samples in prop::collection::vec(nanos(), 0..60), scale in 0..=8) {
        let histogram = of(&samples).downscale(scale);
        let text = serde_json::to_string(&histogram).unwrap();
        prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), histogram);
    }

    #[test]
    fn foreign_numbers_never_panic(
        shift in 0..10u64, zero in 0..5u64, sum in any::<u64>(), range in (any::<u64>(), any::<u64>()),
        buckets in prop::collection::vec(-9_000..9_000i64, 0..8), q in 0..10_001u32,
    ) {
        let parts = HistogramParts { shift, zero, sum, sum_high: 0, min: range.0, max: range.1, buckets };
        if let Ok(histogram) = Histogram::from_parts(&parts) {
            let mut twice = histogram.clone();
            twice.merge(&histogram);
            let _ = (twice.percentile(q, 3), twice.mean());
        }
    }
}
