/** Shapes that tell methods apart without colour. */
export type Marker = "circle" | "square" | "triangle-up" | "diamond" | "triangle-down" | "cross";

/** How one role is drawn. */
export interface RoleStyle {
  /** Colour on white, at least 3:1 against it. */
  readonly light: string;
  /** Colour on the dark background, at least 3:1 against it. */
  readonly dark: string;
  /** Marker along the curve. */
  readonly marker: Marker;
}

/**
 * Colours by role. The light column follows Okabe and Ito 2008, "Color universal design" (told apart by readers
 * with any common colour blindness), with green, purple and yellow darkened to 3:1 on white.
 */
const ROLES: Readonly<Record<string, RoleStyle>> = {
  "olora": { light: "#0072b2", dark: "#5ab0f0", marker: "circle" },
  "lora": { light: "#d55e00", dark: "#f58b4c", marker: "square" },
  "full": { light: "#008a63", dark: "#43c99d", marker: "triangle-up" },
  "olora-freeze-B": { light: "#a8478a", dark: "#e391c8", marker: "diamond" },
  "olora-freeze-A": { light: "#5b3f99", dark: "#ab94e8", marker: "triangle-down" },
  "pissa": { light: "#8a6d00", dark: "#e0c04c", marker: "cross" },
};

/** Variants share the look of a method that no figure shows them beside. */
const VARIANTS: Readonly<Record<string, keyof typeof ROLES>> = {
  "olora-basis-last": "full",
  "olora-basis-pivoted": "olora-freeze-B",
  "olora-basis-random": "olora-freeze-A",
  "olora-basis-rows": "full",
  "olora-balance-4": "full",
  "olora-balance-0.25": "olora-freeze-B",
  "lora-norm-olora": "olora-freeze-A",
  "olora-keep-orthonormal": "pissa",
  "olora-subtract-false": "full",
  "rslora": "full",
  "lora+": "olora-freeze-B",
};

const NEUTRAL: RoleStyle = { light: "#5f6b76", dark: "#9aa5b1", marker: "circle" };

/** Colours and marker of `role`; a neutral grey for a role without its own. */
export function styleOf(role = ""): RoleStyle {
  const own = Object.hasOwn(VARIANTS, role) ? VARIANTS[role] : role;
  return Object.hasOwn(ROLES, own) ? ROLES[own] : NEUTRAL;
}

/** Colours of everything that is not a curve. */
export interface Surface {
  /** Behind the plot. */
  readonly background: string;
  /** Text that is read first. */
  readonly ink: string;
  /** Text and axes that stay back. */
  readonly muted: string;
  /** Grid lines. */
  readonly grid: string;
}

/** Paper and ink of the light and the dark view. */
export const SURFACES: { readonly light: Surface; readonly dark: Surface } = {
  light: { background: "#ffffff", ink: "#1b242c", muted: "#56626d", grid: "#e3e7eb" },
  dark: { background: "#151b21", ink: "#e8ecef", muted: "#a3aeb8", grid: "#2c353e" },
};

/** Pairs of a light colour and the dark one that takes its place, for restyling a drawn figure. */
export function darkColours(): Record<string, string> {
  const pairs = [...Object.values(ROLES), NEUTRAL].map(({ light, dark }) => [light, dark]);
  const surfaces = (Object.keys(SURFACES.light) as (keyof Surface)[])
    .map((key) => [SURFACES.light[key], SURFACES.dark[key]]);
  return Object.fromEntries([...pairs, ...surfaces]);
}
