/** Whole cents as text: 123456 is "1,234.56 €". */
export function euros(cents: number): string {
  const [whole, fraction] = (Math.abs(cents) / 100).toFixed(2).split(".");
  const grouped = whole?.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${cents < 0 ? "-" : ""}${grouped}.${fraction} €`;
}
