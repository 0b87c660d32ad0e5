<?php

namespace TYPO3\CMS\Core\Core;

class ApplicationContext
{
    private string $context;

    public function __construct(string $context)
    {
        $this->context = $context;
    }

    public function isProduction(): bool
    {
        return str_starts_with($this->context, 'Production');
    }

    public function isDevelopment(): bool
    {
        return str_starts_with($this->context, 'Development');
    }

    public function isTesting(): bool
    {
        return str_starts_with($this->context, 'Testing');
    }

    public function __toString(): string
    {
        return $this->context;
    }
}
