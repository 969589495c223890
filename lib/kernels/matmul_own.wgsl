// matmul_own: c[z] = scale · op(a[z]) op(b[z]) (+ c[z])      oracle: lib/reference/matmul.ts
//
// Each invocation owns a TM × TN tile of c and loads its rows of A and columns of B by itself: no subgroups, no
// workgroup memory, any size. The form of the product (nn, nt, tn) lies in the strides.
//
// Grid      8 × 4 invocations; dispatch (⌈n / (8·TN)⌉, ⌈m / (4·TM)⌉, batch).
// Bindings  1 a f32 [batch, m, k] or [batch, k, m]   2 b [batch, k, n] or [batch, n, k] as Words
//           3 c f32, element (row, column) at row · c_row + column · c_column
// Consts    TM, TN rows and columns of an invocation; STEP values of k at a time; FORMAT of B
// Alias     Words, and one(i), element i of B as f32: see read_weight.ts, by which they are prepended
struct Uniforms {
  m: u32, n: u32, k: u32,
  a_row: u32, a_k: u32, b_k: u32, b_column: u32, c_row: u32, c_column: u32,
  accumulate: u32, scale: f32,
}
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<Words>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

@compute @workgroup_size(8, 4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let row = (group.y * 4 + local.y) * TM;
  let column = group.x * 8 * TN + local.x;
  if (row >= u.m) { return; }
  let a_start = group.z * u.m * u.k + row * u.a_row;
  let b_start = group.z * u.k * u.n + column * u.b_column;
  var acc: array<f32, TM * TN>;
  var x: array<f32, TM * STEP>;
  for (var k = 0u; k < u.k; k += STEP) {
    for (var s = 0u; s < STEP; s++) {
      for (var i = 0u; i < TM; i++) {
        x[i * STEP + s] = select(0.0, a[a_start + i * u.a_row + (k + s) * u.a_k], k + s < u.k);
      }
    }
    for (var j = 0u; j < TN; j++) {
      for (var s = 0u; s < STEP; s++) {
        let y = select(0.0, one(b_start + 8 * j * u.b_column + (k + s) * u.b_k), k + s < u.k);
        for (var i = 0u; i < TM; i++) { acc[i * TN + j] = fma(x[i * STEP + s], y, acc[i * TN + j]); }
      }
    }
  }
  for (var i = 0u; i < TM; i++) {
    for (var j = 0u; j < TN; j++) {
      if (row + i < u.m && column + 8 * j < u.n) {
        let at = group.z * u.m * u.n + (row + i) * u.c_row + (column + 8 * j) * u.c_column;
        var old = 0.0;
        if (u.accumulate != 0) { old = c[at]; }
        c[at] = old + u.scale * acc[i * TN + j];
      }
    }
  }
}
