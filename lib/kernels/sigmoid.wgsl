// φ(x) = x σ(z) and φ' = σ(z) (1 + x z' (1 − σ(z))), of exponent(x) = z and steepness(x) = x z'. Prepended to a kernel.

// Beyond ±80 the sigmoid is 0 or 1 to f32, and exp of the clamped value never overflows.
fn decay(x: vec4f) -> vec4f { return exp(-clamp(exponent(x), vec4f(-80.0), vec4f(80.0))); }

fn value(x: vec4f) -> vec4f { return x * (1.0 / (1.0 + decay(x))); }

// φ(x) = x share, φ' = share · turn.
struct Slope { share: vec4f, turn: vec4f }

// e^−z and 1 / (1 + e^−z) give both σ(z) and 1 − σ(z) without cancellation.
fn slope(x: vec4f) -> Slope {
  let fall = decay(x);
  let share = 1.0 / (1.0 + fall);
  return Slope(share, 1.0 + steepness(x) * (fall * share));
}
