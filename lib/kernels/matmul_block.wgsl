// matmul_block: c[z] = scale · op(a[z]) op(b[z]) (+ c[z])      oracle: lib/reference/matmul.ts
//
// As matmul_tile, for large products on GPUs: 16 × 16 invocations stage T × KT blocks of A and B, T = 64 · G, and each
// own 4 G × 4 G outputs, so that a step of k takes 2 G vec4 from workgroup memory for 16 G² multiplications; a
// scalar tile waits for that memory. The sum may be split into `splits` ranges of k, as there.
//
// Grid      dispatch (⌈n / T⌉, ⌈m / T⌉, batch · splits).
// Bindings  1 a f32 [batch, m, k] or [batch, k, m]   2 b f32 [batch, k, n] or [batch, n, k]
//           3 c f32 [batch · splits, m, n]
// Consts    G groups of four outputs an invocation in each axis (1 or 2); LOADS = 16 · G · KT / 64 elements of each
//           operand that an invocation stages; KT a multiple of 4; A_BY_K, B_BY_K 1 where k is the operand's outer axis
// Operands  matmul_operands.wgsl, prepended by matmul.ts
const T = 64 * G;
const PITCH = T / 4 + 1; // vec4 of a row of a block, off the powers of two
var<workgroup> x: array<vec4f, KT * PITCH>;
var<workgroup> y: array<vec4f, KT * PITCH>;

@compute @workgroup_size(16, 16)
fn main(
  @builtin(workgroup_id) tile: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let z = tile.z / u.splits;
  let begin = tile.z % u.splits * u.span;
  let end = min(begin + u.span, u.k);
  var acc: array<vec4f, 4 * G * G>;
  var p: array<vec4f, G>;
  for (var k = begin; k < end; k += KT) {
    for (var i = 0u; i < LOADS; i++) {
      let from_a = place(invocation + 256 * i, A_BY_K);
      x[from_a.x * PITCH + from_a.y / 4][from_a.y % 4] = load_a(z, tile.y * T + from_a.y, k + from_a.x, end);
      let from_b = place(invocation + 256 * i, B_BY_K);
      y[from_b.x * PITCH + from_b.y / 4][from_b.y % 4] = load_b(z, k + from_b.x, tile.x * T + from_b.y, end);
    }
    workgroupBarrier();
    for (var s = 0u; s < KT; s++) {
      for (var g = 0u; g < G; g++) { p[g] = x[s * PITCH + local.y + 16 * g]; }
      for (var h = 0u; h < G; h++) {
        let q = y[s * PITCH + local.x + 16 * h];
        for (var g = 0u; g < G; g++) {
          for (var e = 0u; e < FOUR; e++) {
            acc[(4 * g + e) * G + h] = fma(vec4f(p[g][e]), q, acc[(4 * g + e) * G + h]);
          }
        }
      }
    }
    workgroupBarrier();
  }
  for (var g = 0u; g < G; g++) {
    for (var e = 0u; e < FOUR; e++) {
      let row = tile.y * T + 64 * g + 4 * local.y + e;
      for (var h = 0u; h < G; h++) {
        for (var f = 0u; f < FOUR; f++) {
          let column = tile.x * T + 64 * h + 4 * local.x + f;
          if (row < u.m && column < u.n) {
            let at = (tile.z * u.m + row) * u.n + column;
            var old = 0.0;
            if (u.accumulate != 0) { old = c[at]; }
            c[at] = old + u.scale * acc[(4 * g + e) * G + h][f];
          }
        }
      }
    }
  }
}
