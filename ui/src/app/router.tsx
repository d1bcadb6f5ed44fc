// Owns the routes: which page stands at which path. Pages load when first opened.

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { PageError, PageMissing } from './PageError';
import { fromGraphLink, parseSearch, stringifySearch, validateSearch } from './search';
import { Shell } from './Shell';

const root = createRootRoute({ component: Shell, validateSearch, notFoundComponent: PageMissing, errorComponent: PageError });

const index = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: ({ search }) => {
    throw redirect({ to: '/hosts', search, replace: true });
  },
});

const hosts = createRoute({
  getParentRoute: () => root,
  path: '/hosts',
  component: lazyRouteComponent(() => import('../hosts/HostsPage'), 'HostsPage'),
});
const explore = createRoute({
  getParentRoute: () => root,
  path: '/explore',
  component: lazyRouteComponent(() => import('../explore/ExplorePage'), 'ExplorePage'),
});
const alerts = createRoute({
  getParentRoute: () => root,
  path: '/alerts',
  component: lazyRouteComponent(() => import('../alerts/AlertsPage'), 'AlertsPage'),
});
// Where links of alerts lead, as Prometheus writes them.
const graph = createRoute({
  getParentRoute: () => root,
  path: '/graph',
  beforeLoad: ({ location }) => {
    throw redirect({ to: '/explore', search: fromGraphLink(location.searchStr), replace: true });
  },
});
const targets = createRoute({
  getParentRoute: () => root,
  path: '/targets',
  component: lazyRouteComponent(() => import('../targets/TargetsPage'), 'TargetsPage'),
});
const status = createRoute({
  getParentRoute: () => root,
  path: '/status',
  component: lazyRouteComponent(() => import('../status/StatusPage'), 'StatusPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([index, hosts, explore, alerts, graph, targets, status]),
  parseSearch,
  stringifySearch,
  defaultErrorComponent: PageError,
  defaultPreload: 'intent',
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
