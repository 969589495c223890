// self_test: y[i] = Σ_k a[i, k] b[k] (a matrix times a vector of f16, then of bf16), and y[M] = Σ_i y[i] by a tree
// over the workgroup.      oracle: float64 in self_test.ts
//
// Grid      one workgroup of 64; M = 64 rows, K columns.
// Bindings  1 a f32 [64, K]   2 b u32 [K] (f16 in the low half, bf16 in the high half)   3 y f32 [130]
struct Uniforms { k: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 64>;

fn tree_sum(i: u32, value: f32) -> f32 {
  partial[i] = value;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (i < half) { partial[i] += partial[i + half]; }
    workgroupBarrier();
  }
  let total = partial[0];
  workgroupBarrier();
  return total;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
  var f16_sum = 0.0;
  var bf16_sum = 0.0;
  for (var k = 0u; k < u.k; k++) {
    f16_sum += a[i * u.k + k] * unpack2x16float(b[k]).x;
    bf16_sum += a[i * u.k + k] * bitcast<f32>(b[k] & 0xffff0000u);
  }
  y[i] = f16_sum;
  y[64u + i] = bf16_sum;
  y[128] = tree_sum(i, f16_sum);
  y[129] = tree_sum(i, bf16_sum);
}
