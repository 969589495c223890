// matmul_tile: c[z] = scale · op(a[z]) op(b[z]) (+ c[z])      oracle: lib/reference/matmul.ts
//
// The classic for GPUs: 16 × 16 invocations stage T × KT blocks of A and B, T = 16 · R, in workgroup memory and each
// own R × R outputs. The sum may be split into `splits` ranges of k (for small c and long k): then c holds one
// partial product each, [batch, splits, m, n], which matmul_sum adds up in a fixed order.
//
// Grid      dispatch (⌈n / T⌉, ⌈m / T⌉, batch · splits).
// Bindings  1 a f32 [batch, m, k] or [batch, k, m]   2 b f32 [batch, k, n] or [batch, n, k]
//           3 c f32 [batch · splits, m, n]
// Consts    R outputs an invocation in each axis (1 to 4); KT = 16; A_BY_K, B_BY_K 1 where k is the operand's outer axis;
//           FORMAT of B; B_FOURS 1 where it is read by fours, which its inner axis is a multiple of; FOUR = 4
// Operands  matmul_operands.wgsl, prepended by matmul.ts
const T = 16 * R;
const PITCH = T + 1; // off the powers of two, so that a column of a block does not fall into one memory bank
var<workgroup> x: array<f32, KT * PITCH>;
var<workgroup> y: array<f32, KT * PITCH>;

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) tile: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let z = tile.z / u.splits;
  let begin = tile.z % u.splits * u.span;
  let end = min(begin + u.span, u.k);
  var acc: array<f32, R * R>;
  var p: array<f32, R>;
  for (var k = begin; k < end; k += KT) {
    for (var i = 0u; i < R; i++) {
      let from_a = place(invocation + 256 * i, A_BY_K);
      x[from_a.x * PITCH + from_a.y] = load_a(z, tile.y * T + from_a.y, k + from_a.x, end);
      if (B_FOURS == 0) {
        let from_b = place(invocation + 256 * i, B_BY_K);
        y[from_b.x * PITCH + from_b.y] = load_b(z, k + from_b.x, tile.x * T + from_b.y, end);
      }
    }
    if (B_FOURS == 1 && invocation < T * KT / 4) {
      let first = place(4 * invocation, B_BY_K);
      let values = load_four_of_b(z, k + first.x, tile.x * T + first.y, end);
      for (var e = 0u; e < FOUR; e++) {
        y[(first.x + e * (1 - B_BY_K)) * PITCH + first.y + e * B_BY_K] = values[e];
      }
    }
    workgroupBarrier();
    for (var s = 0u; s < KT; s++) {
      for (var i = 0u; i < R; i++) { p[i] = x[s * PITCH + local.y + 16 * i]; }
      for (var j = 0u; j < R; j++) {
        let q = y[s * PITCH + local.x + 16 * j];
        for (var i = 0u; i < R; i++) { acc[i * R + j] = fma(p[i], q, acc[i * R + j]); }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < R; i++) {
    for (var j = 0u; j < R; j++) {
      let row = tile.y * T + local.y + 16 * i;
      let column = tile.x * T + local.x + 16 * j;
      if (row < u.m && column < u.n) {
        let at = (tile.z * u.m + row) * u.n + column;
        var old = 0.0;
        if (u.accumulate != 0) { old = c[at]; }
        c[at] = old + u.scale * acc[i * R + j];
      }
    }
  }
}
