// qr_panel: Householder reflectors of columns first … first + count − 1, I − V T Vᵀ = H_1 H_2 …   oracle: lib/reference/qr.ts
//
// Column j of the panel is reflected onto β e_j, β = −sign(x_j) ‖x‖, with v = (x − β e_j) / (x_j − β), v_j = 1,
// τ = (β − x_j) / β (LAPACK's larfg). x is scaled by a power of two before it is squared. A column of which less than
// 2^−60 is left, of a loaded one of order one, counts as zero and gets τ = 0: where columns are equal, the rest of each
// is a rounding of the rest before it, down to subnormal numbers, whose reflectors are not orthogonal. T is built as
// LAPACK's larft does.
//
// A reflector is applied to the columns beyond the next one in the pass that multiplies them by the next reflector, four
// columns at a time, so a step reads and writes each of them once.
//
// Grid      one workgroup of WG invocations per matrix; each owns the rows i ≡ its index mod WG, of four.
// Bindings  1 p f32 [batch, columns, ld / 4] as vec4, the panel's rows are overwritten by R
//           2 v f32 [batch, columns, ld / 4]   3 t f32 [batch, count, count], upper triangular, row-major
// Overrides WG  power of two; PANEL is the most columns of a panel
// Consts    FOUR = 4
const PANEL = 32u;
override WG: u32 = 64u;
struct Uniforms { ld: u32, columns: u32, first: u32, count: u32, batch: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> p: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> t: array<f32>;

var<workgroup> partial: array<f32, 2112>; // at most 64 lanes of 33 values; a lane is the sum of WG / 64 invocations
var<workgroup> total: array<f32, 36>;
var<workgroup> triangle: array<f32, 1024>;
var<workgroup> pivot: array<f32, 3>; // v's divisor, β, τ

// Entries of a vector of four whose row is at least `row`.
fn below(x: vec4f, i: u32, row: u32) -> vec4f {
  let at = 4u * i + vec4u(0u, 1u, 2u, 3u);
  return select(vec4f(), x, at >= vec4u(row));
}

// The first quad of an invocation's that reaches down to `row`.
fn first_quad(row: u32, local: u32) -> u32 {
  return row / 4u + (local + WG - (row / 4u) % WG) % WG;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) local: u32) {
  let z = group.x + group.y * groups.x;
  if (z >= u.batch) { return; }
  let quads = u.ld / 4u;
  let above = z * u.columns + u.first; // rows of p and v before the panel's
  for (var i = local; i < PANEL * PANEL; i += WG) { triangle[i] = 0.0; }
  var tau_before = 0.0;
  for (var j = 0u; j < u.count; j++) {
    let row = u.first + j;
    let column = (above + j) * quads;
    let before = column - select(0u, quads, j > 0u);
    let start = first_quad(row, local);
    let start_before = first_quad(row - select(0u, 1u, j > 0u), local);
    if (j > 0u) {
      let weight = tau_before * total[j];
      for (var i = start_before; i < quads; i += WG) { p[column + i] -= v[before + i] * weight; }
    }

    // Largest magnitude below the diagonal, for a power of two that keeps the squares in range.
    var largest = 0.0;
    for (var i = start; i < quads; i += WG) {
      let x = abs(below(p[column + i], i, row));
      largest = max(largest, max(max(x.x, x.y), max(x.z, x.w)));
    }
    partial[local] = largest;
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
      workgroupBarrier();
      if (local < step) { partial[local] = max(partial[local], partial[local + step]); }
    }
    workgroupBarrier();
    let bits = bitcast<u32>(partial[0]) >> 23u;
    workgroupBarrier();
    let power = bitcast<f32>(clamp(254u - bits, 67u, 187u) << 23u);
    var squares = 0.0;
    for (var i = start; i < quads; i += WG) {
      let x = below(p[column + i], i, row) * power;
      squares += dot(x, x);
    }
    partial[local] = squares;
    for (var step = WG / 2u; step > 0u; step >>= 1u) {
      workgroupBarrier();
      if (local < step) { partial[local] += partial[local + step]; }
    }
    storageBarrier();
    workgroupBarrier();
    if (local == 0u) {
      let x = p[column + row / 4u][row % 4u];
      let norm = select(sqrt(partial[0]) / power, 0.0, bits < 67u);
      let beta = select(-norm, norm, x < 0.0);
      pivot[0] = select(x - beta, 1.0, norm == 0.0);
      pivot[1] = beta;
      pivot[2] = select((beta - x) / beta, 0.0, norm == 0.0);
    }
    workgroupBarrier();
    let divisor = pivot[0];
    let tau = pivot[2];
    for (var i = local; i < quads; i += WG) {
      let at = 4u * i + vec4u(0u, 1u, 2u, 3u);
      let x = p[column + i];
      let tail = select(vec4f(), x / divisor, at > vec4u(row));
      v[column + i] = select(tail, vec4f(1.0), at == vec4u(row));
      p[column + i] = select(select(vec4f(), x, at < vec4u(row)), vec4f(pivot[1]), at == vec4u(row));
    }
    storageBarrier();
    workgroupBarrier();

    // v_j times every other column of the panel: earlier reflectors for T, later columns to be reflected.
    var sums: array<f32, 32>;
    for (var k = 0u; k < j; k += FOUR) {
      var four: vec4f;
      four = vec4f();
      for (var i = start; i < quads; i += WG) {
        let x = v[column + i];
        for (var e = 0u; e < FOUR; e++) { four[e] += dot(x, v[(above + min(k + e, j)) * quads + i]); }
      }
      for (var e = 0u; e < FOUR; e++) { if (k + e < j) { sums[k + e] = four[e]; } }
    }
    for (var k = j + 1u; k < u.count; k += FOUR) {
      var four: vec4f;
      four = vec4f();
      var weight: vec4f; // 0 past the last column, which then stays as it is
      for (var e = 0u; e < FOUR; e++) { weight[e] = select(0.0, tau_before * total[k + e], k + e < u.count); }
      for (var i = start_before; i < quads; i += WG) {
        let x = v[column + i];
        let pending = v[before + i];
        for (var e = 0u; e < FOUR; e++) {
          let at = (above + min(k + e, u.count - 1u)) * quads + i;
          let y = p[at] - pending * weight[e];
          p[at] = y;
          four[e] += dot(x, y);
        }
      }
      for (var e = 0u; e < FOUR; e++) { if (k + e < u.count) { sums[k + e] = four[e]; } }
    }
    sums[j] = 0.0;
    for (var turn = 0u; turn < (WG + 63u) / 64u; turn++) {
      if (local / 64u == turn) {
        for (var k = 0u; k < u.count; k++) {
          let at = (local % 64u) * 33u + k;
          if (turn == 0u) { partial[at] = sums[k]; } else { partial[at] += sums[k]; }
        }
      }
      workgroupBarrier();
    }
    for (var k = local; k < u.count; k += WG) {
      var sum = 0.0;
      for (var lane = 0u; lane < min(WG, 64u); lane++) { sum += partial[lane * 33u + k]; }
      total[k] = sum;
    }
    workgroupBarrier();
    // Column j of T: −τ T[:j, :j] (V[:, :j]ᵀ v_j), then τ.
    for (var k = local; k < j; k += WG) {
      var sum = 0.0;
      for (var l = k; l < j; l++) { sum += triangle[k * PANEL + l] * total[l]; }
      triangle[k * PANEL + j] = -tau * sum;
    }
    if (local == 0u) { triangle[j * PANEL + j] = tau; }
    tau_before = tau;
    storageBarrier();
    workgroupBarrier();
  }
  for (var i = local; i < u.count * u.count; i += WG) {
    t[z * u.count * u.count + i] = triangle[(i / u.count) * PANEL + i % u.count];
  }
}
