// Owns the icons: strokes on a 16-unit grid, drawn here because twenty of them need no library.

const PATHS = {
  hosts: 'M2.5 3.5h11v4h-11zM2.5 8.5h11v4h-11zM5 5.500h.01M5 10.500h.01M8 5.500h3M8 10.500h3',
  explore: 'M2 13.500h12M2.500 10.500l3-4 2.500 2.500 5-6',
  targets: 'M8 2v2.500M8 11.500V14M2 8h2.500M11.500 8H14M8 4.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7z',
  alerts: 'M4 11.500V7a4 4 0 0 1 8 0v4.500l1.500 1h-11zM6.500 14h3',
  status: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.500v3.500M8 5.200h.01',
  search: 'M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.500 10.500l3 3',
  back: 'M9.500 4l-4 4 4 4',
  forward: 'M6.500 4l4 4-4 4',
  zoomOut: 'M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.500 10.500l3 3M5 7h4',
  refresh: 'M13 5.500A5.500 5.500 0 0 0 3 6.500M3 3v3.500h3.500M3 10.500a5.500 5.500 0 0 0 10-1M13 13V9.500H9.500',
  clock: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3.200l2.200 1.600',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1.500v1M8 13.500v1M1.500 8h1M13.500 8h1M3.400 3.400l.7.7M11.900 11.900l.7.7M3.400 12.600l.7-.7M11.900 4.100l.7-.7',
  moon: 'M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z',
  auto: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 2v12M8 5h4.900M8 8h6M8 11h4.900',
  close: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  copy: 'M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3',
  trash: 'M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.5 9h6l.5-9',
  play: 'M5 3.500v9l7.500-4.500z',
  history: 'M3 8a5 5 0 1 0 1.600-3.700M3 2.500v2.700h2.700M8 5.500v2.800l1.900 1.200',
  list: 'M5.500 4h8M5.500 8h8M5.500 12h8M2.500 4h.01M2.500 8h.01M2.500 12h.01',
  chevron: 'M4.500 6.500l3.500 3.500 3.500-3.500',
  warning: 'M8 2.500l6 11H2zM8 6.500v3.500M8 11.800h.01',
  keyboard: 'M1.500 4h13v8h-13zM4 6.500h.01M6.500 6.500h.01M9 6.500h.01M11.500 6.500h.01M4.500 9.500h7',
  link: 'M6 3.500H3.500v9h9V10M9 2.500h4.500V7M13.500 2.500l-6 6',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill={name === 'play' ? 'currentColor' : 'none'}
      stroke="currentColor"
      strokeWidth={1.3}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
