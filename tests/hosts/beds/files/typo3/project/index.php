<?php

require '@VENDOR@/autoload.php';
\TYPO3\CMS\Core\Bed\Application::run();
