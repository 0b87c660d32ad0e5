<?php

namespace TYPO3\CMS\Core\Configuration;

use TYPO3\CMS\Core\Core\Environment;

class ConfigurationManager
{
    public function getSystemConfigurationFileLocation(): string
    {
        return Environment::getConfigPath() . '/system/settings.php';
    }

    public function getAdditionalConfigurationFileLocation(): string
    {
        return Environment::getConfigPath() . '/system/additional.php';
    }

    public function getDefaultConfiguration(): array
    {
        return require dirname(__DIR__, 2) . '/Configuration/DefaultConfiguration.php';
    }

    public function getLocalConfiguration(): array
    {
        return require $this->getSystemConfigurationFileLocation();
    }

    /** The defaults, over them settings.php, and additional.php has the last word. */
    public function exportConfiguration(): void
    {
        $GLOBALS['TYPO3_CONF_VARS'] = array_replace_recursive(
            $this->getDefaultConfiguration(),
            $this->getLocalConfiguration()
        );
        if (is_file($this->getAdditionalConfigurationFileLocation())) {
            require $this->getAdditionalConfigurationFileLocation();
        }
    }
}
