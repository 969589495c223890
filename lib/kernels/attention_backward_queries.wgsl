// attention_backward_queries: with p = exp(q·k / √c − log_sum_exp) rebuilt and delta = dout·out,
// dq = Σ_key p (dout·v − delta) k / √c; delta is kept for the keys' half.      oracle: lib/reference/attention.ts
//
// Grid      as in attention.wgsl.
// Bindings  1 q [b, t, h, c]   2 k [b, t, hk, c]   3 v [b, t, hk, c]   4 out [b, t, h, c]   5 dout [b, t, h, c]
//           6 log_sum_exp [b, h, t]   7 delta [b, h, t]   8 dq [b, t, h, c]; all f32, those with c as Chunks
// Consts    as in attention.wgsl; STEP is not used
// Prelude   as in attention.wgsl
struct Uniforms { t: u32, s: u32, start: u32, h: u32, hk: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> q: array<Chunk>;
@group(0) @binding(2) var<storage, read> k: array<Chunk>;
@group(0) @binding(3) var<storage, read> v: array<Chunk>;
@group(0) @binding(4) var<storage, read> out: array<Chunk>;
@group(0) @binding(5) var<storage, read> dout: array<Chunk>;
@group(0) @binding(6) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;
@group(0) @binding(8) var<storage, read_write> dq: array<Chunk>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let text = tile.y / u.hk;
  let key_head = tile.y % u.hk;
  let group = u.h / u.hk;
  let rows = group * u.t;
  let first = (tile.x * WG + lane) * ROWS;

  var queries: array<array<Chunk, WIDTH>, ROWS>;
  var douts: array<array<Chunk, WIDTH>, ROWS>;
  var sums: array<array<Chunk, WIDTH>, ROWS>;
  var limits: array<u32, ROWS>;
  var denominators: array<f32, ROWS>;
  var deltas: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let row = min(first + r, rows - 1u);
    let head = key_head * group + row % group;
    let at = ((text * u.t + row / group) * u.h + head) * WIDTH;
    limits[r] = u.start + row / group;
    denominators[r] = log_sum_exp[(text * u.h + head) * u.t + row / group];
    deltas[r] = 0.0;
    for (var c = 0u; c < WIDTH; c++) {
      queries[r][c] = u.scale * q[at + c];
      douts[r][c] = dout[at + c];
      deltas[r] += dot(douts[r][c], out[at + c]);
      sums[r][c] = Chunk();
    }
  }

  let base = (text * u.s * u.hk + key_head) * WIDTH;
  let last_row = min((tile.x + 1u) * WG * ROWS, rows) - 1u;
  let stop = loop_bound(limits[ROWS - 1u], u.start + last_row / group);
  var own_k: array<Chunk, WIDTH>;
  var own_v: array<Chunk, WIDTH>;
  for (var block = 0u; block <= stop; block += KEYS) {
    let at = base + min(block + lane % KEYS, u.s - 1u) * u.hk * WIDTH;
    for (var c = 0u; c < WIDTH; c++) {
      own_k[c] = k[at + c];
      own_v[c] = v[at + c];
    }
    for (var i = 0u; i < KEYS; i += 1u) {
      var scores: array<f32, ROWS>;
      var slopes: array<f32, ROWS>;
      for (var r = 0u; r < ROWS; r++) {
        scores[r] = -denominators[r];
        slopes[r] = -deltas[r];
      }
      for (var c = 0u; c < WIDTH; c++) {
        let key = hand(own_k[c], i);
        let value = hand(own_v[c], i);
        for (var r = 0u; r < ROWS; r++) {
          scores[r] += dot(queries[r][c], key);
          slopes[r] += dot(douts[r][c], value);
        }
      }
      for (var r = 0u; r < ROWS; r++) {
        slopes[r] = select(0.0, exp(scores[r]) * slopes[r], is_seen(block + i, limits[r]));
      }
      for (var c = 0u; c < WIDTH; c++) {
        let key = hand(own_k[c], i);
        for (var r = 0u; r < ROWS; r++) { sums[r][c] += slopes[r] * key; }
      }
    }
  }

  for (var r = 0u; r < ROWS; r++) {
    let row = first + r;
    if (row < rows) {
      let head = key_head * group + row % group;
      let at = ((text * u.t + row / group) * u.h + head) * WIDTH;
      for (var c = 0u; c < WIDTH; c++) { dq[at + c] = u.scale * sums[r][c]; }
      delta[(text * u.h + head) * u.t + row / group] = deltas[r];
    }
  }
}
