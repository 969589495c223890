// attention: out = softmax(q kᵀ / √c) v over the keys at or before each query (of a window, if there is one), and the logarithm of each softmax's
// denominator; one pass over the keys with a running maximum.      oracle: lib/reference/attention.ts
//
// Grid      ROWS queries an invocation, WG invocations a workgroup, the queries (time, head of the group) of one
//           key-value head in y; dispatch (⌈t · h / hk / (ROWS · WG)⌉, b · hk, 1).
// Bindings  1 q [b, t, h, c]   2 k [b, s, hk, c]   3 v [b, s, hk, c]   4 out [b, t, h, c]   5 log_sum_exp [b, h, t]
//           all f32, those with c as Chunks
// Consts    WIDTH Chunks a head; ROWS; WG; KEYS rows that a workgroup loads at a time; STEP of them between two
//           looks at the maximum, divides KEYS
// Prelude   Chunk is vec4f or vec2f; attention_alone.wgsl or attention_share.wgsl; is_seen(key, query), whether a query
//           attends to a key: it is not after it, and inside its window (attention.ts)
struct Uniforms { t: u32, s: u32, start: u32, h: u32, hk: u32, scale: f32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read> q: array<Chunk>;
@group(0) @binding(2) var<storage, read> k: array<Chunk>;
@group(0) @binding(3) var<storage, read> v: array<Chunk>;
@group(0) @binding(4) var<storage, read_write> out: array<Chunk>;
@group(0) @binding(5) var<storage, read_write> log_sum_exp: array<f32>;

// Finite, so that no difference of two scores is NaN.
const LOWEST = -1.0e30;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) lane: u32) {
  let text = tile.y / u.hk;
  let key_head = tile.y % u.hk;
  let group = u.h / u.hk;
  let rows = group * u.t;
  let first = (tile.x * WG + lane) * ROWS;

  var queries: array<array<Chunk, WIDTH>, ROWS>;
  var sums: array<array<Chunk, WIDTH>, ROWS>;
  var limits: array<u32, ROWS>;
  var largest: array<f32, ROWS>;
  var totals: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    let row = min(first + r, rows - 1u);
    let at = ((text * u.t + row / group) * u.h + key_head * group + row % group) * WIDTH;
    limits[r] = u.start + row / group;
    largest[r] = LOWEST;
    totals[r] = 0.0;
    for (var c = 0u; c < WIDTH; c++) {
      queries[r][c] = u.scale * q[at + c];
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
    for (var i = 0u; i < KEYS; i += STEP) {
      var weights: array<array<f32, STEP>, ROWS>;
      for (var r = 0u; r < ROWS; r++) {
        for (var e = 0u; e < STEP; e++) { weights[r][e] = 0.0; }
      }
      for (var c = 0u; c < WIDTH; c++) {
        for (var e = 0u; e < STEP; e++) {
          let key = hand(own_k[c], i + e);
          for (var r = 0u; r < ROWS; r++) { weights[r][e] += dot(queries[r][c], key); }
        }
      }
      for (var r = 0u; r < ROWS; r++) {
        var m = largest[r];
        for (var e = 0u; e < STEP; e++) {
          m = max(m, select(LOWEST, weights[r][e], is_seen(block + i + e, limits[r])));
        }
        let shrink = exp(largest[r] - m);
        largest[r] = m;
        totals[r] *= shrink;
        for (var c = 0u; c < WIDTH; c++) { sums[r][c] *= shrink; }
        for (var e = 0u; e < STEP; e++) {
          weights[r][e] = select(0.0, exp(weights[r][e] - m), is_seen(block + i + e, limits[r]));
          totals[r] += weights[r][e];
        }
      }
      for (var c = 0u; c < WIDTH; c++) {
        for (var e = 0u; e < STEP; e++) {
          let value = hand(own_v[c], i + e);
          for (var r = 0u; r < ROWS; r++) { sums[r][c] += weights[r][e] * value; }
        }
      }
    }
  }

  for (var r = 0u; r < ROWS; r++) {
    let row = first + r;
    if (row < rows) {
      let head = key_head * group + row % group;
      let at = ((text * u.t + row / group) * u.h + head) * WIDTH;
      for (var c = 0u; c < WIDTH; c++) { out[at + c] = sums[r][c] / totals[r]; }
      log_sum_exp[(text * u.h + head) * u.t + row / group] = largest[r] + log(totals[r]);
    }
  }
}
