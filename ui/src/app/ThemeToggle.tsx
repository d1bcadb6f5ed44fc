// Owns the choice of colour scheme: auto, light, dark, in turn.

import { ActionIcon, Tooltip, useMantineColorScheme, type MantineColorScheme } from '@mantine/core';
import { Icon, type IconName } from '../design/Icon';

const NEXT: Record<MantineColorScheme, MantineColorScheme> = { auto: 'light', light: 'dark', dark: 'auto' };
const ICONS: Record<MantineColorScheme, IconName> = { auto: 'auto', light: 'sun', dark: 'moon' };

export function ThemeToggle() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = NEXT[colorScheme];
  return (
    <Tooltip label={`Theme: ${colorScheme}. Click for ${next}`}>
      <ActionIcon onClick={() => setColorScheme(next)} aria-label={`Theme is ${colorScheme}, change to ${next}`}>
        <Icon name={ICONS[colorScheme]} />
      </ActionIcon>
    </Tooltip>
  );
}
