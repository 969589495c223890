// matmul_share: c[z] = scale · op(a[z]) op(b[z]) (+ c[z])      oracle: lib/reference/matmul.ts
//
// One subgroup is one workgroup and owns TM × 4·LANES·TN outputs: its lanes hold neighbouring columns of B, share the
// loads of A, and hand each element of A round by subgroupBroadcast. For software adapters, where a storage load
// costs as much as dozens of multiplications and workgroup memory is no cheaper. Four k at a time; all loads are
// vec4, along the axis in which the operand is contiguous.
//
// Grid      dispatch (⌈n / (4·LANES·TN)⌉, ⌈m / TM⌉, batch).
// Bindings  1 a f32 [batch, m, k], A_BY_K: [batch, k, m]   2 b f32 [batch, n, k], B_BY_K: [batch, k, n]
//           3 c f32, element (row, column) at row · c_row + column · c_column
// Needs     contiguous axes that are multiples of 4: m where A_BY_K, n where B_BY_K, k where not both.
// Consts    LANES subgroup size; TM rows, a multiple of LANES and 4; TN vec4 columns a lane;
//           A_BY_K, B_BY_K 1 where k is the operand's outer axis; A_LOADS = TM / LANES, B_LOADS = 4 · TN.
struct Uniforms { m: u32, n: u32, k: u32, c_row: u32, c_column: u32, accumulate: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

// vec4 `i` of the TM × 4 block of A at (row, k): four k of row i, or four rows of one k.
fn load_a(z: u32, row: u32, k: u32, i: u32) -> vec4f {
  if (A_BY_K == 1) {
    let inner = k + i / (TM / 4);
    if (inner >= u.k) { return vec4f(); }
    return a[(z * u.k + inner) * (u.m / 4) + row / 4 + i % (TM / 4)];
  }
  return a[(z * u.m + row + i) * (u.k / 4) + k / 4];
}

// vec4 `i` of the 4 × 4·TN block of B at (k, column): four columns of one k, or four k of one column.
fn load_b(z: u32, k: u32, column: u32, i: u32) -> vec4f {
  if (B_BY_K == 1) {
    let inner = k + i / TN;
    if (inner >= u.k) { return vec4f(); }
    return b[(z * u.k + inner) * (u.n / 4) + column / 4 + LANES * (i % TN)];
  }
  return b[(z * u.n + column + 4 * LANES * (i / 4) + i % 4) * (u.k / 4) + k / 4];
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row = tile.y * TM;
  let column = tile.x * 4 * LANES * TN + 4 * lane;
  var acc: array<vec4f, TM * TN>;
  var x: array<vec4f, A_LOADS>;
  var y: array<vec4f, B_LOADS>;
  for (var k = 0u; k < u.k; k += 4u) {
    for (var i = 0u; i < A_LOADS; i++) { x[i] = load_a(tile.z, row, k, i * LANES + lane); }
    for (var i = 0u; i < B_LOADS; i++) { y[i] = load_b(tile.z, k, column, i); }
    for (var i = 0u; i < TM; i++) {
      let x0 = subgroupBroadcast(select(x[i / LANES][0], x[(i / 4) / LANES][i % 4], A_BY_K == 1), select(i % LANES, (i / 4) % LANES, A_BY_K == 1));
      let x1 = subgroupBroadcast(select(x[i / LANES][1], x[(TM / 4 + i / 4) / LANES][i % 4], A_BY_K == 1), select(i % LANES, (TM / 4 + i / 4) % LANES, A_BY_K == 1));
      let x2 = subgroupBroadcast(select(x[i / LANES][2], x[(TM / 2 + i / 4) / LANES][i % 4], A_BY_K == 1), select(i % LANES, (TM / 2 + i / 4) % LANES, A_BY_K == 1));
      let x3 = subgroupBroadcast(select(x[i / LANES][3], x[(3 * TM / 4 + i / 4) / LANES][i % 4], A_BY_K == 1), select(i % LANES, (3 * TM / 4 + i / 4) % LANES, A_BY_K == 1));
      for (var j = 0u; j < TN; j++) {
        let y0 = select(vec4f(y[4 * j][0], y[4 * j + 1][0], y[4 * j + 2][0], y[4 * j + 3][0]), y[j], B_BY_K == 1);
        let y1 = select(vec4f(y[4 * j][1], y[4 * j + 1][1], y[4 * j + 2][1], y[4 * j + 3][1]), y[TN + j], B_BY_K == 1);
        let y2 = select(vec4f(y[4 * j][2], y[4 * j + 1][2], y[4 * j + 2][2], y[4 * j + 3][2]), y[2 * TN + j], B_BY_K == 1);
        let y3 = select(vec4f(y[4 * j][3], y[4 * j + 1][3], y[4 * j + 2][3], y[4 * j + 3][3]), y[3 * TN + j], B_BY_K == 1);
        acc[i * TN + j] = fma(vec4f(x3), y3, fma(vec4f(x2), y2, fma(vec4f(x1), y1, fma(vec4f(x0), y0, acc[i * TN + j]))));
      }
    }
  }
  for (var i = 0u; i < TM; i++) {
    if (row + i < u.m) {
      for (var j = 0u; j < TN; j++) {
        let at = tile.z * u.m * u.n + (row + i) * u.c_row;
        for (var e = 0u; e < FOUR; e++) {
          let to = column + 4 * LANES * j + e;
          if (to < u.n) { c[at + to * u.c_column] = u.scale * acc[i * TN + j][e]; }
        }
      }
    }
  }
}
