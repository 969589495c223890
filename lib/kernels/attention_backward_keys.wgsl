// attention_backward_keys: with p = exp(q·k / √c − log_sum_exp) rebuilt, over the queries at or after each key and the
// heads of its group, dv = Σ p dout and dk = Σ p (dout·v − delta) q / √c.      oracle: lib/reference/attention.ts
//
// Grid      ROWS keys an invocation, WG invocations a workgroup, key-value heads in y;
//           dispatch (⌈s / (ROWS · WG)⌉, b · hk, 1).
// Bindings  1 q [b, t, h, c]   2 k [b, s, hk, c]   3 v [b, s, hk, c]   4 dout [b, t, h, c]   5 log_sum_exp [b, h, t]
//           6 delta [b, h, t]   7 dk [b, s, hk, c]   8 dv [b, s, hk, c]; all f32, those with c as Chunks
// Consts    as in attention.wgsl; KEYS counts queries here, and STEP is not used
// Prelude   as in attention.wgsl
struct Uniforms { t: u32, s: u32, start: u32, h: u32, hk: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> q: array<Chunk>;
@group(0) @binding(2) var<storage, read> k: array<Chunk>;
@group(0) @binding(3) var<storage, read> v: array<Chunk>;
@group(0) @binding(4) var<storage, read> dout: array<Chunk>;
@group(0) @binding(5) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(6) var<storage, read> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> dk: array<Chunk>;
@group(0) @binding(8) var<storage, read_write> dv: array<Chunk>;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let text = tile.y / u.hk;
  let key_head = tile.y % u.hk;
  let group = u.h / u.hk;
  let rows = group * u.t;
  let first = (tile.x * WG + lane) * ROWS;

  var keys: array<array<Chunk, WIDTH>, ROWS>;
  var values: array<array<Chunk, WIDTH>, ROWS>;
  var key_sums: array<array<Chunk, WIDTH>, ROWS>;
  var value_sums: array<array<Chunk, WIDTH>, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let at = ((text * u.s + min(first + r, u.s - 1u)) * u.hk + key_head) * WIDTH;
    for (var c = 0u; c < WIDTH; c++) {
      keys[r][c] = k[at + c];
      values[r][c] = v[at + c];
      key_sums[r][c] = Chunk();
      value_sums[r][c] = Chunk();
    }
  }

  // Query row (time, head of the group) sees keys up to start + time.
  let begin = loop_bound(first, tile.x * WG * ROWS);
  let start_row = (max(begin, u.start) - u.start) * group;
  var own_q: array<Chunk, WIDTH>;
  var own_dout: array<Chunk, WIDTH>;
  for (var block = start_row; block < rows; block += KEYS) {
    let own_row = min(block + lane % KEYS, rows - 1u);
    let own_head = key_head * group + own_row % group;
    let at = ((text * u.t + own_row / group) * u.h + own_head) * WIDTH;
    let at_row = (text * u.h + own_head) * u.t + own_row / group;
    let own_pair = vec2f(log_sum_exp[at_row], delta[at_row]);
    for (var c = 0u; c < WIDTH; c++) {
      own_q[c] = u.scale * q[at + c];
      own_dout[c] = dout[at + c];
    }
    for (var i = 0u; i < KEYS; i += 1u) {
      let pair = hand_pair(own_pair, i);
      let limit = u.start + (block + i) / group;
      var weights: array<f32, ROWS>;
      var slopes: array<f32, ROWS>;
      for (var r = 0u; r < ROWS; r++) {
        weights[r] = -pair.x;
        slopes[r] = -pair.y;
      }
      for (var c = 0u; c < WIDTH; c++) {
        let query = hand(own_q[c], i);
        let gradient = hand(own_dout[c], i);
        for (var r = 0u; r < ROWS; r++) {
          weights[r] += dot(query, keys[r][c]);
          slopes[r] += dot(gradient, values[r][c]);
        }
      }
      for (var r = 0u; r < ROWS; r++) {
        weights[r] = select(0.0, exp(weights[r]), is_seen(first + r, limit) && block + i < rows);
        slopes[r] *= weights[r];
      }
      for (var c = 0u; c < WIDTH; c++) {
        let query = hand(own_q[c], i);
        let gradient = hand(own_dout[c], i);
        for (var r = 0u; r < ROWS; r++) {
          value_sums[r][c] += weights[r] * gradient;
          key_sums[r][c] += slopes[r] * query;
        }
      }
    }
  }

  for (var r = 0u; r < ROWS; r++) {
    if (first + r < u.s) {
      let at = ((text * u.s + first + r) * u.hk + key_head) * WIDTH;
      for (var c = 0u; c < WIDTH; c++) {
        dk[at + c] = key_sums[r][c];
        dv[at + c] = value_sums[r][c];
      }
    }
  }
}
