// matmul_share: c[z] = scale · op(a[z]) op(b[z]) (+ c[z])      oracle: lib/reference/matmul.ts
//
// One subgroup is one workgroup and owns TM × 4·LANES·TN outputs: its lanes hold neighbouring columns of B, share the
// loads of A, and hand each element of A round by subgroupBroadcast. For software adapters, where a storage load
// costs as much as dozens of multiplications and workgroup memory is no cheaper. Four k at a time; all loads are
// vec4, along the axis in which the operand is contiguous.
//
// Grid      dispatch (⌈n / (4·LANES·TN)⌉, ⌈m / TM⌉, batch).
// Bindings  1 a f32 [batch, m, k], A_BY_K: [batch, k, m]   2 b f32 [batch, n, k], B_BY_K: [batch, k, n]
//           3 c f32 [batch, m, n], C_TURNED: [batch, n, m]
// Needs     multiples of 4: n, each operand's inner axis, and c's.
// Consts    LANES subgroup size; TM rows, a multiple of LANES and of 4; TN vec4 columns a lane; STEP = 4 k or rows;
//           A_LOADS = TM / LANES; QUADS = TM / 4; A_BY_K, B_BY_K 1 where k is the operand's outer axis;
//           ACCUMULATE, C_TURNED 0 or 1
struct Uniforms { m: u32, n: u32, k: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;

// vec4 `i` of the TM × 4 block of A at (row, k): four k of row i, or four rows of one k.
fn load_a(z: u32, row: u32, k: u32, i: u32) -> vec4f {
  if (A_BY_K == 1) {
    let inner = k + i / (TM / 4);
    return select(vec4f(), a[(z * u.k + inner) * (u.m / 4) + row / 4 + i % (TM / 4)], inner < u.k);
  }
  return a[(z * u.m + row + i) * (u.k / 4) + k / 4];
}

// At (k, column): four columns of k + s, or four k of column + s.
fn load_b(z: u32, k: u32, column: u32, s: u32) -> vec4f {
  if (B_BY_K == 1) {
    return select(vec4f(), b[(z * u.k + k + s) * (u.n / 4) + column / 4], k + s < u.k);
  }
  return b[(z * u.n + column + s) * (u.k / 4) + k / 4];
}

fn store(at: u32, sum: vec4f) {
  if (ACCUMULATE == 1) { c[at] += u.scale * sum; } else { c[at] = u.scale * sum; }
}

// Adds to rows 4 i to 4 i + 3 of acc: p[r][s], or with A_BY_K p[s][r], is row 4 i + r of A at the s-th k. A function, as
// naga's time grows with the square of one's length.
fn add_products(
  i: u32, p: array<vec4f, STEP>, y: ptr<function, array<vec4f, STEP * TN>>, acc: ptr<function, array<vec4f, TM * TN>>,
) {
  for (var s = 0u; s < STEP; s++) {
    for (var r = 0u; r < STEP; r++) {
      for (var j = 0u; j < TN; j++) {
        let at = (4 * i + r) * TN + j;
        let of_a = p[A_BY_K * s + (1 - A_BY_K) * r][A_BY_K * r + (1 - A_BY_K) * s];
        (*acc)[at] = fma(vec4f(of_a), (*y)[s * TN + j], (*acc)[at]);
      }
    }
  }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row = tile.y * TM;
  let column = tile.x * 4 * LANES * TN + 4 * lane;
  var acc: array<vec4f, TM * TN>;
  var x: array<vec4f, A_LOADS>;
  var y: array<vec4f, STEP * TN>;
  for (var k = 0u; k < u.k; k += STEP) {
    for (var i = 0u; i < A_LOADS; i++) { x[i] = load_a(tile.z, row, k, i * LANES + lane); }
    for (var j = 0u; j < TN; j++) {
      for (var s = 0u; s < STEP; s++) { y[s * TN + j] = load_b(tile.z, k, column + 4 * LANES * j, s); }
      if (B_BY_K == 0) {
        let t = transpose(mat4x4f(y[j], y[TN + j], y[2 * TN + j], y[3 * TN + j]));
        for (var s = 0u; s < STEP; s++) { y[s * TN + j] = t[s]; }
      }
    }
    for (var i = 0u; i < QUADS; i++) {
      var p: array<vec4f, STEP>;
      for (var s = 0u; s < STEP; s++) {
        p[s] = subgroupBroadcast(
          x[(A_BY_K * (s * QUADS + i) + (1 - A_BY_K) * (4 * i + s)) / LANES],
          (A_BY_K * (s * QUADS + i) + (1 - A_BY_K) * (4 * i + s)) % LANES,
        );
      }
      add_products(i, p, &y, &acc);
    }
  }
  if (C_TURNED == 1) {
    for (var i = 0u; i < QUADS; i++) {
      if (row + 4 * i < u.m) {
        for (var j = 0u; j < TN; j++) {
          if (column + 4 * LANES * j < u.n) {
            let t = transpose(mat4x4f(
              acc[4 * i * TN + j], acc[(4 * i + 1) * TN + j], acc[(4 * i + 2) * TN + j], acc[(4 * i + 3) * TN + j],
            ));
            let at = (tile.z * u.n + column + 4 * LANES * j) * (u.m / 4) + row / 4 + i;
            for (var s = 0u; s < STEP; s++) { store(at + s * (u.m / 4), t[s]); }
          }
        }
      }
    }
  } else {
    for (var i = 0u; i < TM; i++) {
      if (row + i < u.m) {
        for (var j = 0u; j < TN; j++) {
          if (column + 4 * LANES * j < u.n) {
            store((tile.z * u.m + row + i) * (u.n / 4) + column / 4 + LANES * j, acc[i * TN + j]);
          }
        }
      }
    }
  }
}
