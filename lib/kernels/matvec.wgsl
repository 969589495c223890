// matvec: y = scale · W x (+ y)      oracle: lib/reference/matvec.ts
//
// The product of one token's row: nothing is shared between rows of x, so each number of W is read once and from the
// form it is stored in. A workgroup owns ROWS rows of W; its lanes take four columns each in turn, and what they have
// of a row is added up at the end, in the order of lanes.
//
// Grid      LANES invocations for ROWS rows of W.
// Bindings  1 w [out, in] as Words   2 x f32 [in] as vec4   3 y f32 [out]
// Consts    LANES, ROWS <= LANES; FORMAT, see matvec.ts; ACCUMULATE 0 or 1
// Needs     in a multiple of 4.
// Alias     Words, and four(i): elements i to i + 3 of w as f32 (prepended by matvec.ts)
struct Uniforms { out: u32, width: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> w: array<Words>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> parts: array<f32, ROWS * LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let first = (group.x + group.y * groups.x) * ROWS;
  var sums: array<vec4f, ROWS>;
  for (var q = lane; q < u.width / 4; q += LANES) {
    let v = x[q];
    for (var i = 0u; i < ROWS; i++) {
      sums[i] = fma(four(min(first + i, u.out - 1) * u.width + 4 * q), v, sums[i]);
    }
  }
  for (var i = 0u; i < ROWS; i++) { parts[i * LANES + lane] = dot(sums[i], vec4f(1)); }
  workgroupBarrier();
  if (lane < ROWS && first + lane < u.out) {
    var sum = 0.0;
    for (var i = 0u; i < LANES; i++) { sum += parts[lane * LANES + i]; }
    if (ACCUMULATE == 1) { y[first + lane] += u.scale * sum; } else { y[first + lane] = u.scale * sum; }
  }
}
