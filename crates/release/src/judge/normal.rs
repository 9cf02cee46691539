//! Quantiles of the normal and of Student's distribution.

/// The value that a standard normal variable exceeds with this probability, 0 to 0.5. Acklam's rational
/// approximation, relative error below 1.2e-9
/// (<https://web.archive.org/web/20151030215612/http://home.online.no/~pjacklam/notes/invnorm/>).
pub(super) fn exceeded_with(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    const TAIL: f64 = 0.024_25;
    let p = probability.clamp(1e-300, 0.5);
    if p < TAIL {
        let q = (-2.0 * p.ln()).sqrt();
        return -polynomial(&C, q) / polynomial(&D, q);
    }
    let q = p - 0.5;
    -polynomial(&A, q * q) * q / polynomial(&B, q * q)
}

/// The same of Student's distribution: Cornish and Fisher's expansion to the third term, within 1% from
/// 9 degrees of freedom on for probabilities down to 1e-3 (Abramowitz and Stegun, 26.7.5).
pub(super) fn student_exceeded_with(probability: f64, freedom: f64) -> f64 {
    let z = exceeded_with(probability);
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * freedom)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * freedom.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * freedom.powi(3))
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, quantile) in [
            (0.5, 0.0),
            (0.1, 1.281_552),
            (0.025, 1.959_964),
            (0.001, 3.090_232),
            (1e-6, 4.753_424),
        ] {
            let got = exceeded_with(probability);
            assert!((got - quantile).abs() < 1e-5, "{probability}: {got}");
        }
        for (probability, freedom, quantile) in
            [(0.025, 9.0, 2.2622), (0.01, 20.0, 2.5280), (0.001, 9.0, 4.2968), (0.025, 1e9, 1.9600)]
        {
            let got = student_exceeded_with(probability, freedom);
            assert!((got / quantile - 1.0).abs() < 0.01, "{probability} {freedom}: {got}");
        }
    }
}
