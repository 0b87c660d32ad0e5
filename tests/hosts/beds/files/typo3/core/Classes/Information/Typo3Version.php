<?php

namespace TYPO3\CMS\Core\Information;

class Typo3Version
{
    protected const VERSION = '@VERSION@';
    protected const BRANCH = '@BRANCH@';

    public function getVersion(): string
    {
        return static::VERSION;
    }

    public function getBranch(): string
    {
        return static::BRANCH;
    }

    public function getMajorVersion(): int
    {
        return (int)explode('.', static::VERSION)[0];
    }
}
