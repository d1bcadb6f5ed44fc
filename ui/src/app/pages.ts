// Owns the list of pages for navigation, palette and shortcuts; routes stand in router.tsx.

import type { IconName } from '../design/Icon';

export interface PageInfo {
  path: '/hosts' | '/explore' | '/alerts' | '/targets' | '/status';
  name: string;
  icon: IconName;
  /** The key after "g". */
  key: string;
}

export const PAGES: readonly PageInfo[] = [
  { path: '/hosts', name: 'Hosts', icon: 'hosts', key: 'h' },
  { path: '/explore', name: 'Explore', icon: 'explore', key: 'e' },
  { path: '/alerts', name: 'Alerts', icon: 'alerts', key: 'a' },
  { path: '/targets', name: 'Targets', icon: 'targets', key: 't' },
  { path: '/status', name: 'Status', icon: 'status', key: 's' },
];
